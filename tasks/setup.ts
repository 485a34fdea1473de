// Makes sure that WebGPU has an adapter, before a task that needs one. Run by `deno task setup`:
//   deno run --allow-run=deno,apt-get --allow-read=/etc/os-release,/usr/bin/apt-get
//     --allow-sys=uid --allow-env=DENO_WEBGPU_BACKEND examples/setup.ts
// A GPU driver brings one. Without a GPU, Mesa's lavapipe computes on the CPU: correct, but slow.
// Everything is said on standard error, so that `deno task demo --json` keeps its output clean.

import { CannotError } from "../src/base/errors.ts";

/** What decides how to get an adapter. */
export interface System {
  os: typeof Deno.build.os;
  /** `ID` and `ID_LIKE` of `/etc/os-release`; empty elsewhere. */
  distributions: readonly string[];
  hasApt: boolean;
  isRoot: boolean;
  /** `DENO_WEBGPU_BACKEND`, if set. */
  backend?: string;
}

/** Either commands that this script may run itself, or lines for the user to follow. */
export type Plan =
  | { action: "install"; commands: string[][] }
  | { action: "advise"; remedy: string };

const aptPackages = "mesa-vulkan-drivers libvulkan1";

/** How to get a Vulkan, Metal or Direct3D adapter on a system that shows none. */
export function planSetup({ os, distributions, hasApt, isRoot, backend }: System): Plan {
  const native = os === "darwin" ? "metal" : os === "windows" ? "dx12" : "vulkan";
  if (backend && !backend.split(",").includes(native)) {
    return advise(`Unset DENO_WEBGPU_BACKEND, which is "${backend}", or set it to ${native}`);
  }
  if (os === "darwin") {
    return advise("Update macOS, and set DENO_WEBGPU_BACKEND=metal");
  }
  if (os === "windows") {
    return advise(
      "Update Windows and the graphics driver, or try DENO_WEBGPU_BACKEND=vulkan",
    );
  }
  if (hasApt && isRoot) {
    const install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    return {
      action: "install",
      commands: [["apt-get", "update", "-qq"], [...install, ...aptPackages.split(" ")]],
    };
  }
  const sudo = isRoot ? "" : "sudo ";
  const command = hasApt
    ? `${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${aptPackages}`
    : distributions.some((id) => ["fedora", "rhel", "centos"].includes(id))
    ? `${sudo}dnf install -y mesa-vulkan-drivers vulkan-loader`
    : distributions.includes("arch")
    ? `${sudo}pacman -S vulkan-icd-loader vulkan-swrast`
    : distributions.includes("alpine")
    ? `${sudo}apk add mesa-vulkan-swrast vulkan-loader`
    : distributions.some((id) => ["suse", "opensuse"].includes(id))
    ? `${sudo}zypper install libvulkan1 libvulkan_lvp`
    : undefined;
  return advise(
    command
      ? `Run: ${command}`
      : "Install the Vulkan loader (libvulkan.so.1) and a Vulkan driver, e.g. Mesa's",
  );
}

function advise(remedy: string): Plan {
  return { action: "advise", remedy };
}

/** What a fresh process sees of WebGPU. */
export interface Adapter {
  description: string;
  software: boolean;
}

/** Reads the ids of `/etc/os-release`: `debian` and, of a derivative, what it derives from. */
export function parseOsRelease(text: string): string[] {
  return Array.from(text.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm), (match) => match[1]!)
    .flatMap((ids) => ids.split(" "));
}

const probeSource = `
const adapter = await navigator.gpu?.requestAdapter();
const { vendor, architecture, device, description, isFallbackAdapter } = adapter?.info ?? {};
console.log(JSON.stringify(adapter ? {
  description: description || [vendor, architecture, device].filter(Boolean).join(" ") || "unnamed",
  software: isFallbackAdapter || /llvmpipe|lavapipe|swiftshader|basic render/i.test(description),
} : null));`;

/** Asks a new process for an adapter, because a running one never sees a library installed later. */
async function probe(env: Record<string, string> = {}): Promise<Adapter | undefined> {
  const { stdout } = await new Deno.Command("deno", { // by name, as --allow-run=deno grants it
    args: ["eval", "--quiet", "--no-lock", probeSource],
    // Mesa complains on standard error when it has no runtime folder, though none is used here.
    env: Deno.build.os === "linux" ? { XDG_RUNTIME_DIR: "/tmp", ...env } : env,
    stderr: "null",
  }).output();
  const line = new TextDecoder().decode(stdout).trim();
  return line ? JSON.parse(line) ?? undefined : undefined; // A driver that crashes prints nothing.
}

/** On Linux Deno falls back to OpenGL, which has fewer limits and no f16: look for Vulkan first. */
async function probeNative(): Promise<Adapter | undefined> {
  const chosen = Deno.env.get("DENO_WEBGPU_BACKEND");
  const prefersVulkan = Deno.build.os === "linux" && !chosen;
  return await probe(prefersVulkan ? { DENO_WEBGPU_BACKEND: "vulkan" } : {});
}

async function readSystem(): Promise<System> {
  const { os } = Deno.build;
  const linux = os === "linux";
  const osRelease = linux ? await Deno.readTextFile("/etc/os-release").catch(() => "") : "";
  return {
    os,
    distributions: parseOsRelease(osRelease),
    hasApt: linux && await Deno.stat("/usr/bin/apt-get").then(() => true, () => false),
    isRoot: linux && Deno.uid() === 0,
    backend: Deno.env.get("DENO_WEBGPU_BACKEND"),
  };
}

async function install(commands: string[][]): Promise<void> {
  for (const [program, ...args] of commands) {
    const { success, stdout, stderr } = await new Deno.Command(program!, {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
    }).output();
    // One dead source fails an update, though the packages may still come from another.
    if (success || args[0] === "update") continue;
    const decoder = new TextDecoder();
    const said = `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`.trim().split("\n");
    throw new CannotError(
      `install ${aptPackages}`,
      `apt-get said: ${said.slice(-3).join(" ").trim()}`,
      "Check the network and the package sources, then run the task again",
    );
  }
}

/** One line about the adapter that a task will get. */
export function describeAdapter({ description, software }: Adapter): string {
  return software
    ? `WebGPU adapter: ${description}, a software adapter: results are right, speed is a CPU's.`
    : `WebGPU adapter: ${description}.`;
}

/** Finds an adapter, installing or advising what is missing. @throws {CannotError} with the fix. */
async function main(): Promise<void> {
  let adapter = await probeNative();
  if (!adapter) {
    const plan = planSetup(await readSystem());
    if (plan.action === "install") {
      console.error(
        `WebGPU finds no Vulkan driver. Installing ${aptPackages} with apt-get (about 8 MB, and ` +
          "LLVM's 25 MB where it is missing) …",
      );
      await install(plan.commands);
      adapter = await probeNative();
    }
    if (!adapter) {
      const remedy = plan.action === "advise"
        ? plan.remedy
        : "vulkaninfo --summary (package vulkan-tools) says what the installed drivers offer";
      adapter = await probe();
      if (!adapter) throw new CannotError("find a WebGPU adapter", "no driver offers one", remedy);
      console.error(`WebGPU falls back to OpenGL, on which nothing is tested. ${remedy}.`);
    }
  }
  console.error(describeAdapter(adapter));
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof CannotError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
