// The packages that the bench measures against. Their specifiers are values, so that no other task installs them.

/** Each peer's packages, at the version that the results name. */
export const peerPackages = {
  jax: "npm:@jax-js/jax@0.1.25",
  tfjs: "npm:@tensorflow/tfjs-core@4.22.0",
  tfjsWebgpu: "npm:@tensorflow/tfjs-backend-webgpu@4.22.0",
} as const;

/** `npm:@scope/name@1.2.3` as `@scope/name 1.2.3`. */
export function nameAndVersion(specifier: string): string {
  return specifier.replace(/^npm:(.+)@/, "$1 ");
}
