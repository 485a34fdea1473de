// Sizes in bytes, for people.

const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Formats a number of bytes as `12.3 MiB`, in the largest unit that it has at least one of. */
export function describeBytes(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const value = bytes / 2 ** (10 * power);
  if (bytes === 1) return "1 byte";
  return `${value.toLocaleString("en", { maximumFractionDigits: 1 })} ${units[power]}`;
}
