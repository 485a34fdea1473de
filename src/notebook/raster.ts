// Figures as PNG, drawn from their SVG without a browser. A notebook gets PNG alone, because it is the one kind of picture
// that every viewer shows: nbconvert 6 strips SVG to nothing yet prefers it to a PNG beside it, Jupyter hides it in a
// notebook that is not trusted, and code hosts differ. The fonts come from npm as well, so that a figure has the same bytes
// on any machine.

import { importPackage, packages } from "../base/packages.ts";

/** The last one draws what the others lack. */
const fonts = [
  `${packages.arimo}/400Regular/Arimo_400Regular.ttf`,
  `${packages.arimo}/700Bold/Arimo_700Bold.ttf`,
  `${packages.dejavu}/ttf/DejaVuSansMono.ttf`,
  `${packages.dejavu}/ttf/DejaVuSans.ttf`,
] as const;

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
  loaded ??= load();
  try {
    return (await loaded)(svg);
  } catch (error) {
    loaded = undefined; // The next figure tries again.
    throw error;
  }
}

async function load(): Promise<(svg: string) => Uint8Array> {
  const { Resvg, initWasm } = await importPackage<Resvg>("resvg");
  // A package's files are there once something of it was imported.
  await importPackage("dejavu", "package.json");
  await importPackage("arimo", "package.json");
  await initWasm(await readPackaged(`${packages.resvg}/index_bg.wasm`));
  const fontBuffers = await Promise.all(fonts.map(readPackaged));
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
