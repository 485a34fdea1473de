// How much memory this machine has, where the program may ask.

/** Bytes of the machine's memory; undefined without `--allow-sys=systemMemoryInfo`, and in browsers. */
export function hostMemory(): number | undefined {
  if (typeof Deno === "undefined") return undefined;
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().total : undefined;
}
