// Finds Jupyter, or installs it where that is possible without asking (Debian as root), and writes the kernel that the
// notebooks run in: Deno's own, in a folder of its own, so that nothing in the user's home changes.
//
// The kernel starts with SIGINT ignored. Jupyter interrupts by that signal, which would end Deno's kernel; this way the
// kernel outlives it, and a training cell, which listens, stops and saves (see src/notebook/live.ts).

import { CannotError } from "../src/base/errors.ts";
import { parseOsRelease } from "./setup.ts";

/** A part of Jupyter: how to tell that it is there, and where it comes from. */
export interface Part {
  /** What it is, for messages. */
  name: string;
  /** Commands, any of which shows by ending well that the part is there. */
  probes: readonly (readonly string[])[];
  /** Debian's packages. */
  debian: readonly string[];
  /** What to install elsewhere, for pip or pipx. */
  python: string;
}

const interpreters = ["python3", "/usr/bin/python3"];

/** Talks to kernels: what `deno task notebooks` needs. */
export const client: Part = {
  name: "Jupyter's client",
  probes: interpreters.map((python) => [python, "-c", "import jupyter_client"]),
  debian: ["python3-jupyter-client"],
  python: "python3 -m pip install jupyter-client",
};

/** Shows notebooks in a browser: what `deno task lab` needs. */
export const frontend: Part = {
  name: "Jupyter",
  probes: [["jupyter-lab", "--version"], ["jupyter-notebook", "--version"]],
  debian: ["jupyter-notebook"],
  python: "pipx install jupyterlab",
};

/** What to do about a part that is missing: commands that may run here, or a line for the user. */
export function planInstall(
  part: Part,
  system: { distributions: readonly string[]; hasApt: boolean; isRoot: boolean },
): { commands: string[][] } | { remedy: string } {
  const { distributions, hasApt, isRoot } = system;
  const debian = hasApt && distributions.includes("debian");
  if (debian && isRoot) {
    const install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    return { commands: [["apt-get", "update", "-qq"], [...install, ...part.debian]] };
  }
  return {
    remedy: debian
      ? `Run: sudo apt-get install -y --no-install-recommends ${part.debian.join(" ")}`
      : `Run: ${part.python}`,
  };
}

/**
 * The first program of a part that works, after an installation if need be.
 *
 * @throws {CannotError} with the command that installs it, where this script may not.
 */
export async function requirePart(part: Part, note: (line: string) => void): Promise<string> {
  const present = await find(part);
  if (present) return present;
  const linux = Deno.build.os === "linux";
  const plan = planInstall(part, {
    distributions: parseOsRelease(
      linux ? await Deno.readTextFile("/etc/os-release").catch(() => "") : "",
    ),
    hasApt: linux && await Deno.stat("/usr/bin/apt-get").then(() => true, () => false),
    isRoot: linux && Deno.uid() === 0,
  });
  const packages = part.debian.join(" ");
  if ("remedy" in plan) {
    throw new CannotError("run notebooks", `${part.name} is not installed`, plan.remedy);
  }
  note(`${part.name} is missing. Installing ${packages} with apt-get …`);
  for (const [program, ...args] of plan.commands) {
    const { success, stderr } = await new Deno.Command(program!, {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
    }).output();
    if (success || args[0] === "update") continue; // One dead source may leave others.
    const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    throw new CannotError(
      `install ${packages}`,
      `apt-get said: ${said}`,
      "Check the network and the package sources, then run the task again",
    );
  }
  const installed = await find(part);
  if (installed) return installed;
  throw new CannotError("run notebooks", `${part.name} does not start`, `Run: ${part.python}`);
}

async function find({ probes }: Part): Promise<string | undefined> {
  for (const [program, ...args] of probes) {
    try {
      const { success } = await new Deno.Command(program!, { args, stdout: "null", stderr: "null" })
        .output();
      if (success) return program;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** The kernel's description for Jupyter. @param deno The program to run. */
export function kernelSpec(deno: string, os: typeof Deno.build.os): Record<string, unknown> {
  const kernel = ["jupyter", "--kernel", "--conn"];
  return {
    argv: os === "windows"
      ? [deno, ...kernel, "{connection_file}"]
      : ["/bin/sh", "-c", `trap '' INT; exec "$@"`, "sh", deno, ...kernel, "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
    // Mesa complains on standard error when it has no runtime folder, though none is used here.
    env: os === "linux" ? { XDG_RUNTIME_DIR: "/tmp" } : {},
  };
}

/** Writes the kernel into a new folder and returns it, as a value for JUPYTER_PATH. */
export async function installKernel(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "slung-jupyter-" });
  await Deno.mkdir(`${folder}/kernels/deno`, { recursive: true });
  const spec = kernelSpec(Deno.execPath(), Deno.build.os);
  await Deno.writeTextFile(`${folder}/kernels/deno/kernel.json`, JSON.stringify(spec, null, 2));
  return folder;
}
