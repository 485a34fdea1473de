// What a process knows about itself, for records of what it did.

import project from "../../deno.json" with { type: "json" };

/** What ran: versions, and what was typed. */
export interface ProcessRecord {
  /** Of Deno, its V8 and this project. */
  versions: { deno: string; v8: string; project: string };
  /** The script and its arguments, as typed. */
  commandLine: string[];
}

/** The versions and the command line of this process. */
export function describeProcess(): ProcessRecord {
  const script = decodeURIComponent(new URL(Deno.mainModule).pathname.split("/").at(-1)!);
  return {
    versions: { deno: Deno.version.deno, v8: Deno.version.v8, project: project.version },
    commandLine: [script, ...Deno.args],
  };
}
