// Figures as PNG, drawn from their SVG without a browser. A notebook gets PNG alone, because it is the one kind of picture
// that every viewer shows: nbconvert 6 strips SVG to nothing yet prefers it to a PNG beside it, Jupyter hides it in a
// notebook that is not trusted, and code hosts differ. The fonts come from npm as well, so that a figure has the same bytes
// on any machine.

import { CannotError } from "../base/errors.ts";

const rasteriser = "npm:@resvg/resvg-wasm@2.6.2";
const sansSerif = "npm:@expo-google-fonts/arimo@0.4.3";
const monospace = "npm:dejavu-fonts-ttf@2.37.3";

/** Files of each package; the last font draws what the others lack. */
const files = {
  wasm: `${rasteriser}/index_bg.wasm`,
  fonts: [
    `${sansSerif}/400Regular/Arimo_400Regular.ttf`,
    `${sansSerif}/700Bold/Arimo_700Bold.ttf`,
    `${monospace}/ttf/DejaVuSansMono.ttf`,
    `${monospace}/ttf/DejaVuSans.ttf`,
  ],
} as const;

interface Resvg {
  Resvg: new (svg: string, options: unknown) => {
    render(): { asPng(): Uint8Array; free(): void };
    free(): void;
  };
  initWasm(module: Uint8Array): Promise<void>;
}

let loaded: Promise<(svg: string) => Uint8Array> | undefined;

/**
 * Draws an SVG document as PNG, a pixel for each of its units.
 *
 * @throws {CannotError} when the rasteriser or its fonts can be had neither from the cache nor from npm.
 */
export async function toPng(svg: string): Promise<Uint8Array> {
  loaded ??= load().catch((cause) => {
    loaded = undefined; // The next figure tries again.
    throw new CannotError(
      `draw a figure with ${rasteriser}`,
      (cause as Error).message.split("\n")[0]!.replace(/\.$/, ""),
      "Run once with network access, so that Deno can fetch it",
      { cause },
    );
  });
  return (await loaded)(svg);
}

async function load(): Promise<(svg: string) => Uint8Array> {
  const { Resvg, initWasm }: Resvg = await import(rasteriser);
  // A package is there once something of it was imported.
  await Promise.all(
    [sansSerif, monospace].map((name) =>
      import(`${name}/package.json`, { with: { type: "json" } })
    ),
  );
  await initWasm(await readPackaged(files.wasm));
  const fontBuffers = await Promise.all(files.fonts.map(readPackaged));
  const font = { fontBuffers, loadSystemFonts: false, defaultFontFamily: "DejaVu Sans" };
  return (svg) => {
    const named = svg.replaceAll('font-family="sans-serif"', 'font-family="Arimo"')
      .replaceAll('font-family="monospace"', 'font-family="DejaVu Sans Mono"');
    const picture = new Resvg(named, { font });
    const image = picture.render();
    try {
      return image.asPng();
    } finally {
      image.free();
      picture.free();
    }
  };
}

function readPackaged(specifier: string): Promise<Uint8Array> {
  return Deno.readFile(new URL(import.meta.resolve(specifier)));
}
