// Where there is no WebGPU: which browsers have it.

/** Why this browser cannot train, in sentences; nothing where it can. */
export async function missingWebGpu(): Promise<string | undefined> {
  if (!globalThis.isSecureContext) {
    return "Cannot use WebGPU: browsers give it to secure pages only. Open this page by https:// or from localhost.";
  }
  if (!navigator.gpu) {
    return `Cannot use WebGPU: this browser has none. ${browsers}`;
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (adapter) return undefined;
  return `Cannot use WebGPU: this browser has it, but found no adapter. ${browsers}`;
}

const browsers =
  "These have it: Chrome and Edge 135 or later (Windows, macOS, ChromeOS, Android 12; on Linux behind " +
  "chrome://flags/#enable-unsafe-webgpu where the driver is not known), Safari 26 or later (macOS, iOS, " +
  "iPadOS, visionOS), Firefox 141 or later (Windows; macOS from 145). The label editor works in any browser.";
