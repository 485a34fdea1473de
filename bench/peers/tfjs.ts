// TensorFlow.js on its WebGPU backend. It takes part in matrix products only: its README answers whether the backend can
// train with "maybe", and several gradients have no WebGPU kernel.

import { nameAndVersion, peerPackages } from "./packages.ts";
import { type Computation, failOnGpuErrors, type Peer } from "./peer.ts";

interface TfTensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** The part of `@tensorflow/tfjs-core` that is used here. */
interface Tfjs {
  setBackend(name: "webgpu"): Promise<boolean>;
  ready(): Promise<void>;
  backend(): {
    device: GPUDevice;
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  };
  tensor2d(values: Float32Array, shape: [number, number]): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA: boolean, transposeB: boolean): TfTensor;
}

/** Starts tfjs-webgpu. @throws {Error} when the packages or an adapter cannot be had. */
export async function loadTfjs(): Promise<Peer> {
  const { tfjs: core, tfjsWebgpu: backendPackage } = peerPackages;
  const tf: Tfjs = await import(core as string);
  await import(backendPackage as string);
  if (!await tf.setBackend("webgpu")) throw new Error("it finds no WebGPU adapter");
  await tf.ready();
  const backend = tf.backend();
  const { device } = backend;
  const throwFailure = failOnGpuErrors(device);
  const name = "tfjs webgpu";
  return {
    name,
    version: nameAndVersion(backendPackage),
    device,

    product({ rows, columns, depth, transposeA, transposeB, ...operands }): Computation {
      const a = tf.tensor2d(operands.a, transposeA ? [depth, rows] : [rows, depth]);
      const b = tf.tensor2d(operands.b, transposeB ? [columns, depth] : [depth, columns]);
      let last: TfTensor | undefined;
      return {
        name,
        async run(times) {
          for (let i = 0; i < times; i++) {
            last?.dispose();
            last = tf.matMul(a, b, transposeA, transposeB);
          }
          backend.ensureCommandEncoderReady();
          backend.endComputePassEncoder();
          backend.submitQueue(); // up to 15 products wait for each other
          await device.queue.onSubmittedWorkDone();
          throwFailure();
        },
        result: () => last!.data(),
        dispose() {
          for (const tensor of [a, b, last]) tensor?.dispose();
        },
      };
    },
  };
}
