// How the hub is reached and where what comes from it lies, by the variables that Hugging Face's own programs read.

import { CannotError } from "../base/errors.ts";

/** How the hub is reached. */
export interface HubSettings {
  /** Where it is, without a slash at the end: `https://huggingface.co`. */
  endpoint: string;
  /** Says who asks. It leaves this program only in a header to the endpoint. */
  token: string | undefined;
  /** The folder of what was fetched, laid out as by Hugging Face. */
  cache: string;
  /** Whether only that folder is used. */
  offline: boolean;
}

/** The variables that are read. */
export const hubVariables = [
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "XDG_CACHE_HOME",
  "HOME",
  "USERPROFILE",
] as const;

/**
 * Reads the settings from the environment: `HF_ENDPOINT`, `HF_TOKEN` (or the file `token` that logging in leaves in
 * `HF_HOME`), `HF_HUB_CACHE` or `HF_HOME`, and `HF_HUB_OFFLINE`.
 *
 * @throws {CannotError} naming the variable that is malformed; never with the token in it.
 */
export function readHubSettings(
  variable: (name: (typeof hubVariables)[number]) => string | undefined = Deno.env.get,
): HubSettings {
  const get = (name: (typeof hubVariables)[number]) => variable(name)?.trim() || undefined;
  const person = get("HOME") ?? get("USERPROFILE");
  const expanded = (path: string) => person ? path.replace(/^~(?=$|[/\\])/, person) : path;
  const general = get("XDG_CACHE_HOME") ?? (person && `${person}/.cache`);
  const home = get("HF_HOME") ?? (general && `${general}/huggingface`);
  const cache = get("HF_HUB_CACHE") ?? (home && `${home}/hub`);
  if (cache === undefined) {
    throw new CannotError(
      "use the hub",
      "there is no home folder to keep files in",
      "Set HF_HOME to a folder",
    );
  }
  return {
    endpoint: readEndpoint(get("HF_ENDPOINT") ?? "https://huggingface.co"),
    token: checkToken(get("HF_TOKEN") ?? (home && savedToken(expanded(home)))),
    cache: expanded(cache),
    offline: /^(1|on|yes|true)$/i.test(get("HF_HUB_OFFLINE") ?? ""),
  };
}

function readEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") {
    return text.replace(/\/+$/, "");
  }
  throw new CannotError(
    "use the hub",
    "HF_ENDPOINT is no address of the form https://host",
    "Correct it, or unset it for huggingface.co",
  );
}

function savedToken(home: string): string | undefined {
  try {
    return Deno.readTextFileSync(`${home}/token`).trim() || undefined;
  } catch {
    return undefined; // nobody has logged in here
  }
}

// What fetch says about a header that it does not take repeats the header.
function checkToken(token: string | undefined): string | undefined {
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new CannotError(
    "use the hub",
    "HF_TOKEN holds signs that no token has",
    "Copy it again from your settings on the hub, or unset it",
  );
}
