// How launchers spread work over workgroups: WebGPU allows 65,535 of them along one axis, so long lists fold into y.
// Kernels recover the position as `group.y * groups.x + group.x`.

import type { Gpu } from "../src/gpu/gpu.ts";
import type { Workgroups } from "../src/gpu/program.ts";

const perAxis = 65_535;

/** Workgroups for `count` items, `perGroup` in each. */
export function spread(count: number, perGroup = 64): Workgroups {
  const groups = Math.ceil(count / perGroup);
  if (groups <= perAxis) return [groups];
  return [perAxis, Math.ceil(groups / perAxis)];
}

/** Constants of `rows.wgsl`: lanes that share a row, and the rows that a workgroup covers. */
export interface RowLanes extends Record<string, number | boolean> {
  LANES: number;
  ROWS: number;
  LANES_SHARE: boolean;
}

/** What suits an adapter. */
export function rowLanes(gpu: Gpu): RowLanes {
  const lanes = gpu.lanesPerRow;
  return { LANES: lanes, ROWS: 64 / lanes, LANES_SHARE: lanes > 1 };
}

/** One row per workgroup, for rows too long for a single lane. */
export const rowsOf64Lanes: RowLanes = { LANES: 64, ROWS: 1, LANES_SHARE: true };
