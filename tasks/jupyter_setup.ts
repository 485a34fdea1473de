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
  /** Debian's packages, or several with spaces between, the preferred first: the first that there is is installed. */
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

/** Shows notebooks in a browser: what `deno task lab` needs; JupyterLab where it is, else Jupyter Notebook. */
export const frontend: Part = {
  name: "Jupyter",
  probes: [["jupyter-lab", "--version"], ["jupyter-notebook", "--version"]],
  debian: ["jupyterlab jupyter-nbformat", "jupyter-notebook jupyter-nbformat"],
  python: "pipx install jupyterlab",
};

/**
 * What to do about a part that is missing: packages that may be installed here, one or else the next, or a line for the user.
 */
export function planInstall(
  part: Part,
  system: { distributions: readonly string[]; hasApt: boolean; isRoot: boolean },
): { packages: readonly string[] } | { remedy: string } {
  const { distributions, hasApt, isRoot } = system;
  const debian = hasApt && distributions.includes("debian");
  if (debian && isRoot) return { packages: part.debian };
  return {
    remedy: debian
      ? `Run: sudo apt-get install -y --no-install-recommends ${part.debian.at(-1)}`
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
  if ("remedy" in plan) {
    throw new CannotError("run notebooks", `${part.name} is not installed`, plan.remedy);
  }
  await aptGet("update", "-qq"); // One dead source may leave others.
  const refusals: string[] = [];
  for (const name of plan.packages) {
    note(`${part.name} is missing. Installing ${name} with apt-get …`);
    const install = ["install", "-y", "-qq", "--no-install-recommends"];
    const refusal = await aptGet(...install, ...name.split(" "));
    if (refusal === undefined) break;
    refusals.push(refusal);
    note(`apt-get said: ${refusal}`);
  }
  const installed = await find(part);
  if (installed) return installed;
  if (refusals.length === plan.packages.length) {
    throw new CannotError(
      `install ${plan.packages.join(" or ")}`,
      `apt-get said: ${refusals.at(-1)}`,
      "Check the network and the package sources, then run the task again",
    );
  }
  throw new CannotError(
    "run notebooks",
    `${part.name} was installed but does not start`,
    "Run the task again",
  );
}

/** Runs apt-get; returns the last line of what it said against it. */
async function aptGet(...args: string[]): Promise<string | undefined> {
  const { success, stderr } = await new Deno.Command("apt-get", {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
  }).output();
  if (success) return undefined;
  return new TextDecoder().decode(stderr).trim().split("\n").at(-1)!.replace(/[.?]+$/, "");
}

// Deno grants `--allow-run=NAME` for the file that the name stood for when it started. What is installed later is granted
// by the paths in deno.json; a program elsewhere is found by the next run.
async function find({ probes }: Part): Promise<string | undefined> {
  for (const [program, ...args] of probes) {
    try {
      const { success } = await new Deno.Command(program!, { args, stdout: "null", stderr: "null" })
        .output();
      if (success) return program;
    } catch (error) {
      const absent = error instanceof Deno.errors.NotFound ||
        error instanceof Deno.errors.NotCapable;
      if (!absent) throw error;
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
