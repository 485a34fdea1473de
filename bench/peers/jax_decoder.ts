// The decoder of `src/model/decoder.ts` with its loss and the AdamW of `src/train/optimiser.ts`, once more in jax-js, as
// one compiled function from the state to the next state. The benchmark compares the losses of the first steps, so that
// it times the same model.

import type { DecoderConfig } from "../../mod.ts";
import { rotaryAngles } from "../../kernels/rotary.ts";
import type { Jax, JaxArray, Tree } from "./jax_module.ts";
import type { Computation, TrainingStep } from "./peer.ts";

const table = "model.embed_tokens.weight";

/** Prepares training steps of the decoder; the result of each is the loss before its update. */
export function jaxStep(jax: Jax, request: TrainingStep): Computation {
  const { module, backend } = jax;
  const { config, batch, time, optimiser, learningRate } = request;
  const pairs = config.headWidth / 2;
  const angles = rotaryAngles(time, config.headWidth, config.rotaryTheta);
  const every = (offset: number) => angles.filter((_, i) => i % 2 === offset);
  const inputs = {
    tokens: jax.integers(batch.tokens),
    targets: jax.integers(batch.targets),
    cos: jax.array(every(0), [1, time, 1, pairs]),
    sin: jax.array(every(1), [1, time, 1, pairs]),
  };
  const tree = (values: (data: Float32Array) => Float32Array): Tree =>
    Object.fromEntries(
      [...request.weights].map(([name, { shape, data }]) => [
        name,
        jax.array(values(data), shape),
      ]),
    );
  const zeros = ({ length }: Float32Array) => new Float32Array(length);
  let state: State = { parameters: tree((data) => data), first: tree(zeros), second: tree(zeros) };

  const step = jax.compile((state: State, inputs: Tree, scalars: Tree): Outcome => {
    const { loss, gradients } = lossAndGradients(jax, request, state.parameters, inputs);
    return { ...adamw(jax, request, state, gradients, scalars), loss };
  });
  let update = 0;
  const scalar = (value: number) => module.numpy.array(value, { device: backend });
  const computation = jax.computation([inputs], () => {
    update++;
    const [one, two] = optimiser.betas;
    const { loss, ...next } = step(state, module.tree.ref(inputs), {
      rate: scalar(learningRate),
      correction1: scalar(1 - one ** update),
      correction2: scalar(1 - two ** update),
    });
    state = next;
    // The moments are computed with the parameters, whose buffers are asked for.
    return [loss, ...Object.values(next).flatMap((group) => Object.values(module.tree.ref(group)))];
  });
  return {
    ...computation,
    dispose() {
      computation.dispose();
      module.tree.dispose(state);
    },
  };
}

type State = { parameters: Tree; first: Tree; second: Tree };
type Outcome = State & { loss: JaxArray };

// The gradient of a lookup is a scatter, which has no shader that wgpu accepts (its atomics are passed to a function):
// on webgpu the embedded tokens are a variable of their own, and a product with one-hot rows scatters their gradient.
function lossAndGradients(
  jax: Jax,
  { config, rows, time }: TrainingStep,
  parameters: Tree,
  inputs: Tree,
): { loss: JaxArray; gradients: Tree } {
  const { module: { numpy, nn, tree, valueAndGrad }, backend } = jax;
  const { tokens, ...others } = inputs as { tokens: JaxArray } & Tree;
  const lookUp = (parameters: Tree) => numpy.take(parameters[table]!.ref, tokens.ref, 0);
  const lossOf = (embedded: JaxArray, parameters: Tree, others: Tree) =>
    meanLoss(jax, config, [rows, time], embedded, parameters, others);
  const variables = tree.ref(parameters);
  if (backend !== "webgpu") {
    const [loss, gradients] = valueAndGrad((variables: Tree, others: Tree) =>
      lossOf(lookUp(variables), variables, others)
    )(variables, others);
    tokens.dispose();
    return { loss, gradients };
  }
  const [loss, { embedded, ...gradients }] = valueAndGrad(
    ({ embedded, ...variables }: Tree, others: Tree) => lossOf(embedded!, variables, others),
  )({ ...variables, embedded: lookUp(parameters) }, others);
  const oneHot = nn.oneHot(tokens, config.vocabularySize);
  const scattered = numpy.matmul(oneHot.transpose(), embedded!);
  return { loss, gradients: { ...gradients, [table]: gradients[table]!.add(scattered) } };
}

function meanLoss(
  jax: Jax,
  config: DecoderConfig,
  [rows, time]: [number, number],
  embedded: JaxArray,
  parameters: Tree,
  { cos, sin, targets }: Tree,
): JaxArray {
  const { numpy, nn } = jax.module;
  const { heads, headWidth, normEpsilon, width } = config;
  const linear = (x: JaxArray, weight: JaxArray) => numpy.matmul(x, weight.transpose());
  const norm = (x: JaxArray) => nn.standardize(x, -1, { epsilon: normEpsilon });
  const byHead = (x: JaxArray) => x.reshape([rows, time, heads, headWidth]);
  const turn = (x: JaxArray) => {
    const [a, b] = numpy.split(x, 2, -1) as [JaxArray, JaxArray];
    return numpy.concatenate([
      a.ref.mul(cos!.ref).sub(b.ref.mul(sin!.ref)),
      b.mul(cos!.ref).add(a.mul(sin!.ref)),
    ], -1);
  };
  let x = embedded;
  for (let layer = 0; layer < config.layers; layer++) {
    const weight = (name: string) => parameters[`model.layers.${layer}.${name}.weight`]!;
    const h = norm(x.ref);
    const q = turn(byHead(linear(h.ref, weight("self_attn.q_proj"))));
    const k = turn(byHead(linear(h.ref, weight("self_attn.k_proj"))));
    const v = byHead(linear(h, weight("self_attn.v_proj")));
    const attended = nn.dotProductAttention(q, k, v, { isCausal: true });
    x = x.add(linear(attended.reshape([rows * time, width]), weight("self_attn.o_proj")));
    const f = norm(x.ref);
    const gate = nn.silu(linear(f.ref, weight("mlp.gate_proj")));
    x = x.add(linear(gate.mul(linear(f, weight("mlp.up_proj"))), weight("mlp.down_proj")));
  }
  cos!.dispose();
  sin!.dispose();
  return crossEntropy(jax, norm(x), parameters[table]!, targets!).mean();
}

/** −log p of each target, [N]: log-sum-exp of the logits minus the target's. */
export function crossEntropy(
  { module: { numpy, nn } }: Jax,
  hidden: JaxArray,
  unembedding: JaxArray,
  targets: JaxArray,
): JaxArray {
  const vocabulary = unembedding.shape[0]!;
  const logits = numpy.matmul(hidden, unembedding.transpose());
  const chosen = logits.ref.mul(nn.oneHot(targets, vocabulary)).sum(-1);
  return nn.logsumexp(logits, -1).sub(chosen);
}

// As kernels/gradient_norm.wgsl and kernels/adamw.wgsl.
function adamw(
  { module: { numpy } }: Jax,
  { optimiser }: TrainingStep,
  { parameters, first, second }: State,
  gradients: Tree,
  { rate, correction1, correction2 }: Tree,
): State {
  const { betas: [one, two], epsilon, weightDecay, maxGradientNorm } = optimiser;
  const squares = Object.values(gradients).map((gradient) => gradient.ref.mul(gradient.ref).sum());
  const norm = numpy.sqrt(squares.reduce((sum, square) => sum.add(square)));
  const clip = numpy.minimum(numpy.reciprocal(norm.add(1e-6)).mul(maxGradientNorm), 1);
  const next: State = { parameters: {}, first: {}, second: {} };
  for (const [name, gradient] of Object.entries(gradients)) {
    const g = gradient.mul(clip.ref);
    const m = first[name]!.mul(one).add(g.ref.mul(1 - one));
    const v = second[name]!.mul(two).add(g.ref.mul(g).mul(1 - two));
    const deviation = numpy.sqrt(v.ref.div(correction2!.ref)).add(epsilon);
    const update = m.ref.div(correction1!.ref).div(deviation);
    const w = parameters[name]!;
    const change = name === table ? update : update.add(w.ref.mul(weightDecay));
    next.parameters[name] = w.sub(change.mul(rate!.ref));
    next.first[name] = m;
    next.second[name] = v;
  }
  for (const scalar of [clip, rate, correction1, correction2]) scalar!.dispose();
  return next;
}
