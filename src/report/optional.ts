// Optional modules: @std/cli lives on JSR, and a machine that cannot reach JSR must still run.
// The specifier is a value, so Deno resolves it here, inside the try, and not in the module graph:
// there, a registry that never answers would hang the start, and `--frozen` with a lockfile made
// offline would refuse to run at all.

/**
 * Imports a module if it can be had quickly.
 *
 * A registry that never answers leaves its request pending; a command line ends with `Deno.exit`,
 * so that this does not hold the process. What has arrived by then is cached for the next run.
 *
 * @param specifier A whole one, which needs no import map, e.g. `jsr:@std/cli@^1/parse-args`.
 * @param patience Milliseconds to wait; a cached module takes about 1, a refused connection 50.
 * @returns The module, or `undefined` when it is missing, refused or late.
 */
export async function importOptional<Module>(
  specifier: string,
  patience = 800,
): Promise<Module | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), patience);
  const module: Promise<Module | undefined> = import(specifier).catch(() => undefined);
  try {
    return await Promise.race([module, late]);
  } finally {
    clearTimeout(timer);
  }
}
