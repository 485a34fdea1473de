// jax-js, the array library with the best published matrix products on WebGPU, on its webgpu and its wasm backend. The
// computations are written as its documentation teaches and compiled by its `jit`. Arrays are reference-counted: passing
// one to a function gives it away, `.ref` keeps it. Loaded through a value, so that no other task installs it.

import { crossEntropy, jaxStep } from "./jax_decoder.ts";
import type { Jax, JaxArray, JaxBackend, JaxModule, Tree } from "./jax_module.ts";
import { nameAndVersion, peerPackages } from "./packages.ts";
import { type Computation, failOnGpuErrors, type Peer } from "./peer.ts";

/** Starts jax-js on one of its backends. @throws {Error} when the package or the backend cannot be had. */
export async function loadJax(backend: JaxBackend): Promise<Peer> {
  const specifier = peerPackages.jax;
  const module: JaxModule = await import(specifier as string);
  if (!(await module.init(backend)).includes(backend)) {
    throw new Error(`it finds no ${backend} backend here`);
  }
  const device = backend === "webgpu" ? module.getWebGPUDevice() : undefined;
  const jax = openJax(module, backend, device);
  return {
    name: `jax-js ${backend}`,
    version: nameAndVersion(specifier),
    device,

    product({ rows, columns, depth, transposeA, transposeB, ...operands }) {
      const a = jax.array(operands.a, transposeA ? [depth, rows] : [rows, depth]);
      const b = jax.array(operands.b, transposeB ? [columns, depth] : [depth, columns]);
      const multiply = jax.compile((a: JaxArray, b: JaxArray) =>
        module.numpy.matmul(transposeA ? a.transpose() : a, transposeB ? b.transpose() : b)
      );
      return jax.computation([a, b], () => [multiply(a.ref, b.ref)]);
    },

    attention({ batch, time, heads, headWidth, backward, ...operands }) {
      const inputs = Object.fromEntries(
        (["q", "k", "v", "dout"] as const).map((name) => [
          name,
          jax.array(operands[name], [batch, time, heads, headWidth]),
        ]),
      );
      const attend = ({ q, k, v }: Tree) =>
        module.nn.dotProductAttention(q!, k!, v!, { isCausal: true });
      const compute = jax.compile(({ dout, ...inputs }: Tree): Tree => {
        if (!backward) {
          dout!.dispose();
          return { out: attend(inputs) };
        }
        const [out, pullBack] = module.vjp(attend, [inputs]);
        return { ...pullBack(dout!)[0], out };
      });
      return jax.computation([inputs], () => {
        const { q, out, ...rest } = compute(module.tree.ref(inputs));
        return q ? [q, out!, ...Object.values(rest)] : [out!];
      });
    },

    loss({ rows, width, vocabulary, ...request }) {
      const variables = {
        hidden: jax.array(request.hidden, [rows, width]),
        unembedding: jax.array(request.unembedding, [vocabulary, width]),
      };
      const constants = {
        targets: jax.integers(request.targets),
        weights: jax.array(request.weights, [rows]),
      };
      const mean = ({ hidden, unembedding }: Tree, { targets, weights }: Tree) =>
        crossEntropy(jax, hidden!, unembedding!, targets!)
          .mul(weights!.ref).sum().div(weights!.sum());
      const compute = jax.compile(module.valueAndGrad(mean));
      return jax.computation([variables, constants], () => {
        const [loss, gradients] = compute(module.tree.ref(variables), module.tree.ref(constants));
        return [loss, ...Object.values(gradients)];
      });
    },

    trainingStep: (request) => jaxStep(jax, request),
  };
}

function openJax(module: JaxModule, backend: JaxBackend, device: GPUDevice | undefined): Jax {
  const throwFailure = device ? failOnGpuErrors(device) : () => {};
  return {
    module,
    backend,
    array: (values, shape) => module.numpy.array(values, { shape, device: backend }),
    integers: (values) =>
      module.numpy.array(Int32Array.from(values), {
        shape: [values.length],
        dtype: module.numpy.int32,
        device: backend,
      }),
    compile: (compute) => module.jit(compute, { device: backend }),
    computation(kept, compute): Computation {
      let last: JaxArray | undefined;
      return {
        name: `jax-js ${backend}`,
        async run(times) {
          module.defaultDevice(backend);
          for (let i = 0; i < times; i++) {
            last?.dispose();
            const [result, ...rest] = compute();
            last = result!;
            // Arrays are lazy: asking for the buffer submits the work without waiting for it.
            for (const array of [last.ref, ...rest]) {
              if (device) await array.gpuBuffer();
              else (await array.blockUntilReady()).dispose();
            }
          }
          await device?.queue.onSubmittedWorkDone();
          throwFailure();
        },
        result: () => last!.ref.data(),
        dispose() {
          last?.dispose();
          module.tree.dispose(kept);
        },
      };
    },
  };
}
