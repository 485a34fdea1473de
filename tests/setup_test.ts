// What setup decides on each system, and what it says when the machine offers no adapter.

import { fileURLToPath } from "node:url";
import { describeAdapter, parseOsRelease, planSetup, type System } from "../tasks/setup.ts";
import { assert, assertEquals } from "./assert.ts";

const debian: System = { os: "linux", distributions: ["debian"], hasApt: true, isRoot: true };

Deno.test("root on a system with apt-get installs, after an update and without recommendations", () => {
  assertEquals(planSetup(debian), {
    action: "install",
    commands: [
      ["apt-get", "update", "-qq"],
      [
        ...["apt-get", "install", "-y", "-qq", "--no-install-recommends"],
        ...["mesa-vulkan-drivers", "libvulkan1"],
      ],
    ],
  });
});

Deno.test("every other system gets the exact command or setting that helps there", () => {
  const linux = (distribution: string, isRoot = false): System => ({
    os: "linux",
    distributions: [distribution],
    hasApt: false,
    isRoot,
  });
  const expected: [System, string][] = [
    [{ ...debian, isRoot: false }, "Run: sudo apt-get update && sudo apt-get install -y "],
    [linux("fedora"), "Run: sudo dnf install -y mesa-vulkan-drivers vulkan-loader"],
    [linux("fedora", true), "Run: dnf install -y mesa-vulkan-drivers vulkan-loader"],
    [linux("arch"), "Run: sudo pacman -S vulkan-icd-loader vulkan-swrast"],
    [linux("alpine", true), "Run: apk add mesa-vulkan-swrast vulkan-loader"],
    [linux("opensuse"), "Run: sudo zypper install"],
    [linux("unheardof"), "Install the Vulkan loader"],
    [{ ...linux(""), os: "darwin" }, "Update macOS"],
    [{ ...linux(""), os: "windows" }, "Update Windows"],
  ];
  for (const [system, part] of expected) {
    const plan = planSetup(system);
    assert(plan.action === "advise" && plan.remedy.startsWith(part), JSON.stringify(plan));
  }
});

Deno.test("a backend that the system does not have is unset rather than worked around", () => {
  for (const [system, backend] of [[debian, "dx12"], [{ ...debian, os: "darwin" }, "vulkan"]]) {
    const plan = planSetup({ ...system as System, backend: backend as string });
    assert(plan.action === "advise" && plan.remedy.startsWith("Unset DENO_WEBGPU_BACKEND"));
  }
  assertEquals(planSetup({ ...debian, backend: "gl,vulkan" }).action, "install");
});

Deno.test("os-release names the distribution and what it derives from", () => {
  const text = 'PRETTY_NAME="Some Linux"\nID=some\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n';
  assertEquals(parseOsRelease(text), ["some", "rhel", "fedora"]);
});

Deno.test("a software adapter is called one", () => {
  assert(describeAdapter({ description: "x", software: true }).includes("a software adapter"));
  assertEquals(describeAdapter({ description: "x", software: false }), "WebGPU adapter: x.");
});

Deno.test("without any adapter, setup says what to do and exits with 1", async () => {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-lock", "--allow-run=deno", "--allow-sys=uid"],
      "--allow-read=/etc/os-release,/usr/bin/apt-get",
      "--allow-env=DENO_WEBGPU_BACKEND",
      fileURLToPath(new URL("../tasks/setup.ts", import.meta.url)),
    ],
    env: { NO_COLOR: "1", DENO_WEBGPU_BACKEND: "none" },
  }).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals([code, stdout.length], [1, 0], said);
  assert(
    said.startsWith(
      'Cannot find a WebGPU adapter: no driver offers one. Unset DENO_WEBGPU_BACKEND, which is "none"',
    ),
    said,
  );
});
