// A cell is what a row-wise kernel loads at once: four floats, or one where a row's length is not divisible by four.
// The software adapter needs 19 cycles for a float on its own and 7 for one of four. In memory it is a StoredCell of
// `Stored` floats: `Cell(x[i])` loads one and `StoredCell(value)` rounds it on its way back.

// @if VECTORS
alias Cell = vec4f;
alias StoredCell = vec4<Stored>;
const CELL = 4u;
fn total(cell: Cell) -> f32 { return dot(cell, vec4f(1.0)); }
fn largest_of(cell: Cell) -> f32 { return max(max(cell.x, cell.y), max(cell.z, cell.w)); }
fn is_column(cell: u32, column: u32) -> vec4<bool> {
  return 4u * cell + vec4u(0u, 1u, 2u, 3u) == vec4u(column);
}
// @else
alias Cell = f32;
alias StoredCell = Stored;
const CELL = 1u;
fn total(cell: Cell) -> f32 { return cell; }
fn largest_of(cell: Cell) -> f32 { return cell; }
fn is_column(cell: u32, column: u32) -> bool { return cell == column; }
// @end
