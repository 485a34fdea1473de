// Opens the notebooks in a browser: `deno task lab`. JupyterLab if there is one, else the classic notebook.

import { runCommand } from "../src/report/command_line.ts";
import { frontend, installKernel, requirePart } from "./jupyter_setup.ts";

await runCommand({
  name: "lab",
  summary: "Opens the notebooks in Jupyter, with a Deno kernel that survives an interrupt.",
  options: {
    port: { type: "integer", default: 8888, min: 1, max: 65535, help: "Where Jupyter listens" },
    noBrowser: { type: "flag", help: "Only print the address" },
  },
  async run({ port, noBrowser }, terminal) {
    const program = await requirePart(frontend, terminal.note);
    const folder = await installKernel();
    const args = [
      `--port=${port}`,
      `--notebook-dir=${import.meta.dirname}/../notebooks`,
    ];
    if (noBrowser) args.push("--no-browser");
    if (Deno.build.os === "linux" && Deno.uid() === 0) args.push("--allow-root");
    // Ctrl-C reaches Jupyter as well, which asks before it ends; this process must live to clean up.
    const ignore = () => {};
    Deno.addSignalListener("SIGINT", ignore);
    const jupyterPath = [folder, Deno.env.get("JUPYTER_PATH")].filter(Boolean).join(":");
    try {
      await new Deno.Command(program, { args, env: { JUPYTER_PATH: jupyterPath } }).spawn().status;
    } finally {
      Deno.removeSignalListener("SIGINT", ignore);
      await Deno.remove(folder, { recursive: true });
    }
  },
});
