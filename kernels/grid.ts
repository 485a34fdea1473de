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

/** Constants of `rows.wgsl`: lanes that share a row, the rows that a workgroup covers, and how lanes add up. */
export interface RowLanes extends Record<string, number | boolean> {
  LANES: number;
  ROWS: number;
  LANES_SHARE: boolean;
  SUBGROUPS: boolean;
}

/** For so many lanes a row, by default what suits the adapter; rows too long for a single lane need 64. */
export function rowLanes(gpu: Gpu, lanes: number = gpu.lanesPerRow): RowLanes {
  const shared = lanes > 1;
  const subgroups = shared && gpu.device.features.has("subgroups");
  return { LANES: lanes, ROWS: shared ? 1 : 64, LANES_SHARE: shared, SUBGROUPS: subgroups };
}
