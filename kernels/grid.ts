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

/** Constants of `rows.wgsl` for an adapter, and the rows that a workgroup covers. */
export function rowLanes(
  gpu: Gpu,
): { LANES: number; ROWS: number; LANES_SHARE: boolean } {
  const lanes = gpu.lanesPerRow;
  return { LANES: lanes, ROWS: 64 / lanes, LANES_SHARE: lanes > 1 };
}
