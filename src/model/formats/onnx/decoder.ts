// The decoder of `src/model/decoder.ts` as an ONNX graph, with keys and values of earlier tokens going in and out: what
// transformers.js and optimum expect of a text generator. B texts of S new tokens after P earlier ones, T = P + S:
//
//   in   input_ids, position_ids [B, S]; attention_mask [B, T], 0 where a text was padded
//        past_key_values.N.key, .value [B, G, P, D], of layer N
//   out  logits [B, S, V]; present.N.key, .value [B, G, T, D]
//
// Rows N = B·S, as in our kernels. Every matrix is [out, in], as it lies in safetensors, so that a tied embedding is there
// once. In f16 the stream, the products and the cache are f16, while norms, angles and softmax are computed in f32.

import type { DecoderConfig, Projection } from "../../config.ts";
import { normNames, parameterShapes } from "../../parameter_shapes.ts";
import { rotaryFrequencies, turnedWidth } from "../../rotary.ts";
import { elementTypes, GraphBuilder, type OnnxGraph, type ValueInfo } from "./graph.ts";

/** In which precision a graph computes and keeps its weights. */
export type OnnxPrecision = "f32" | "f16";

const masked = -1e30; // added to the score of what may not be seen; finite, because a row of padding sees nothing at all

/** What all layers share. */
interface Shared {
  graph: GraphBuilder;
  config: DecoderConfig;
  precision: OnnxPrecision;
  /** What queries and keys turn by; undefined for learned positions. */
  turn: { queries: Turn; keys: Turn } | undefined;
  /** Added to scores, [B, 1, 1, S, T]. */
  bias: string;
  shapes: Shapes;
}

/** Cosine and sine of each pair's angle: [B, 1, 1, S, R/2] for queries, [B, 1, S, R/2] for keys. */
interface Turn {
  cosine: string;
  sine: string;
}

/** Shapes that are known when the graph runs. */
interface Shapes {
  /** [B, S, G, H/G, D] */
  queries: string;
  /** [B, S, G, D] */
  keys: string;
  /** [B, G, H/G, S, T] */
  scores: string;
  /** [B, G, H/G·S, T]: all queries of a group as the rows of one product. */
  scoreRows: string;
  /** [B, G, H/G, S, D] */
  mixed: string;
  /** [B, S, V] */
  logits: string;
}

/** The graph of a decoder whose rotary pairs are halves. */
export function decoderGraph(config: DecoderConfig, precision: OnnxPrecision): OnnxGraph {
  const graph = new GraphBuilder();
  const shapes = sharedShapes(graph, config);
  const turn = rotaryAngles(graph, config, precision);
  const shared: Shared = { graph, config, precision, turn, bias: attentionBias(graph), shapes };
  const look = (name: string, ids: string) =>
    graph.node(name, "Gather", [`model.${name}.weight`, ids]);
  let x = look("embed_tokens", "input_ids");
  if (config.positions === "learned") {
    x = graph.node("embedded", "Add", [x, look("embed_positions", "position_ids")]);
  }
  x = graph.node("stream", "Reshape", [x, graph.ints(-1, config.width)]);
  for (let layer = 0; layer < config.layers; layer++) x = decoderLayer(shared, layer, x);
  const hidden = norm(shared, "norm", "model.norm", x);
  const head = config.tiedEmbedding ? "model.embed_tokens.weight" : "lm_head.weight";
  const rows = graph.node("logits/rows", "Gemm", [hidden, head], { transB: { int: 1 } });
  graph.node("logits", "Reshape", [cast(shared, "logits/f32", rows, "f32"), shapes.logits]);
  return {
    ...valuesOf(config, precision),
    nodes: graph.nodes,
    constants: graph.constants,
    weightType: precision,
    weights: parameterShapes(config),
  };
}

function valuesOf(
  { layers, kvHeads, headWidth, vocabularySize }: DecoderConfig,
  precision: OnnxPrecision,
): { inputs: ValueInfo[]; outputs: ValueInfo[] } {
  const batch = "batch_size", time = "sequence_length", total = "total_sequence_length";
  const ids = (name: string, length: string): ValueInfo => ({
    ...{ name, type: "i64", shape: [batch, length] },
  });
  const cache = (prefix: string, length: string): ValueInfo[] =>
    Array.from({ length: layers }, (_, layer) =>
      ["key", "value"].map((kind): ValueInfo => ({
        name: `${prefix}.${layer}.${kind}`,
        type: precision,
        shape: [batch, kvHeads, length, headWidth],
      }))).flat();
  return {
    inputs: [
      ...[ids("input_ids", time), ids("attention_mask", total), ids("position_ids", time)],
      ...cache("past_key_values", "past_sequence_length"),
    ],
    outputs: [
      { name: "logits", type: "f32", shape: [batch, time, vocabularySize] },
      ...cache("present", total),
    ],
  };
}

function sharedShapes(
  graph: GraphBuilder,
  { heads, kvHeads, headWidth, vocabularySize }: DecoderConfig,
): Shapes {
  const sizesOf = (value: string) => graph.node(`${value}/shape`, "Shape", [value]);
  const size = (name: string, shape: string, axis: number) =>
    graph.node(name, "Gather", [shape, graph.ints(axis)]);
  const ids = sizesOf("input_ids");
  const batch = size("batch", ids, 0), time = size("time", ids, 1);
  const total = size("total", sizesOf("attention_mask"), 1);
  const join = (name: string, ...parts: (string | number)[]) =>
    graph.node(
      name,
      "Concat",
      parts.map((part) => typeof part === "number" ? graph.ints(part) : part),
      { axis: { int: 0 } },
    );
  const group = heads / kvHeads;
  return {
    queries: join("shape/queries", batch, time, kvHeads, group, headWidth),
    keys: join("shape/keys", batch, time, kvHeads, headWidth),
    scores: join("shape/scores", batch, kvHeads, group, time, total),
    scoreRows: join("shape/score_rows", batch, kvHeads, -1, total),
    mixed: join("shape/mixed", batch, kvHeads, group, time, headWidth),
    logits: join("shape/logits", batch, time, vocabularySize),
  };
}

function rotaryAngles(
  graph: GraphBuilder,
  { positions, headWidth }: DecoderConfig,
  precision: OnnxPrecision,
): Shared["turn"] {
  if (positions === "learned") return undefined;
  const frequencies = graph.vector("frequencies", rotaryFrequencies(positions, headWidth), "f32");
  const steps = graph.node("places", "Cast", ["position_ids"], { to: { int: elementTypes.f32 } });
  const column = graph.node("places/column", "Unsqueeze", [steps, graph.ints(1, 3)]);
  const angles = graph.node("angles", "Mul", [column, frequencies]);
  const turnOf = (op: "Cos" | "Sin") => {
    const name = op.toLowerCase();
    const exact = graph.node(`${name}/f32`, op, [angles]);
    const keys = graph.node(`${name}/keys`, "Cast", [exact], {
      to: { int: elementTypes[precision] },
    });
    return { keys, queries: graph.node(`${name}/queries`, "Unsqueeze", [keys, graph.ints(1)]) };
  };
  const cosine = turnOf("Cos"), sine = turnOf("Sin");
  return {
    queries: { cosine: cosine.queries, sine: sine.queries },
    keys: { cosine: cosine.keys, sine: sine.keys },
  };
}

// A token sees those at or before its place that are no padding.
function attentionBias(graph: GraphBuilder): string {
  const lengthOf = (name: string, value: string, axis: number) => {
    const shape = graph.node(`${name}/shape`, "Shape", [value]);
    return graph.node(name, "Gather", [shape, graph.int(axis)]);
  };
  const past = lengthOf("past", "past_key_values.0.key", 2);
  const end = lengthOf("end", "attention_mask", 1);
  const range = (name: string, from: string) =>
    graph.node(name, "Range", [from, end, graph.int(1)]);
  const keys = range("key_places", graph.int(0));
  const row = range("query_places/row", past);
  const queries = graph.node("query_places", "Unsqueeze", [row, graph.ints(1)]);
  const causal = graph.node("causal", "LessOrEqual", [keys, queries]); // [S, T]
  const toBool = { to: { int: elementTypes.bool } };
  const flags = graph.node("is_text/flags", "Cast", ["attention_mask"], toBool);
  const isText = graph.node("is_text", "Unsqueeze", [flags, graph.ints(1, 2, 3)]);
  const seen = graph.node("is_seen", "And", [causal, isText]); // [B, 1, 1, S, T]
  return graph.node("bias", "Where", [seen, graph.number(0, "f32"), graph.number(masked, "f32")]);
}

function decoderLayer(shared: Shared, index: number, x: string): string {
  const { graph, config } = shared;
  const prefix = `model.layers.${index}`, layer = `layer${index}`;
  const [attentionNorm, feedForwardNorm] = normNames(config);
  const normed = (name: string, input: string) =>
    norm(shared, `${layer}/${name}`, `${prefix}.${name}`, input);
  const add = (name: string, a: string, b: string) => graph.node(`${layer}/${name}`, "Add", [a, b]);

  const project = (name: Projection, input: string): string => {
    const module = `${prefix}.${/^[qkvo]_/.test(name) ? "self_attn" : "mlp"}.${name}`;
    const bias = config.biases.includes(name) ? [`${module}.bias`] : [];
    const inputs = [input, `${module}.weight`, ...bias];
    return graph.node(`${layer}/${name}`, "Gemm", inputs, { transB: { int: 1 } });
  };
  /** Queries or keys, normed where the configuration says so. */
  const matched = (name: "q" | "k", input: string): string => {
    const y = project(`${name}_proj`, input);
    const { queryKeyNorm, headWidth } = config;
    if (queryKeyNorm === "none") return y;
    const all = (name === "q" ? config.heads : config.kvHeads) * headWidth;
    const width = queryKeyNorm === "each_head" ? headWidth : all;
    const rows = graph.node(`${layer}/${name}/rows`, "Reshape", [y, graph.ints(-1, width)]);
    return norm(shared, `${layer}/${name}_norm`, `${prefix}.self_attn.${name}_norm`, rows, width);
  };
  const attend = (input: string): string =>
    attention(shared, index, matched("q", input), matched("k", input), project("v_proj", input));
  const activate = (input: string): string => {
    const up = project("up_proj", input);
    return config.activation === "swiglu"
      ? swiglu(graph, `${layer}/swiglu`, project("gate_proj", input), up)
      : gelu(shared, `${layer}/gelu`, up);
  };

  if (config.residual === "post_norm") {
    const middle = add("middle", x, normed(attentionNorm, project("o_proj", attend(x))));
    const fed = normed(feedForwardNorm, project("down_proj", activate(middle)));
    return add("output", middle, fed);
  }
  const middle = add("middle", x, project("o_proj", attend(normed(attentionNorm, x))));
  const fedBy = config.residual === "parallel" ? x : middle;
  return add("output", middle, project("down_proj", activate(normed(feedForwardNorm, fedBy))));
}

// Queries [N, H·D] against keys and values [N, G·D] and those of the cache.
function attention(shared: Shared, index: number, q: string, k: string, v: string): string {
  const { graph, config: { heads, headWidth }, precision, shapes } = shared;
  const named = (part: string) => `layer${index}/attention/${part}`;
  const reshape = (part: string, value: string, shape: string) =>
    graph.node(named(part), "Reshape", [value, shape]);
  const transpose = (part: string, value: string, ...axes: number[]) =>
    graph.node(named(part), "Transpose", [value], { perm: { ints: axes } });
  const withPast = (kind: string, added: string) => {
    const both = [`past_key_values.${index}.${kind}`, added];
    return graph.node(`present.${index}.${kind}`, "Concat", both, { axis: { int: 2 } });
  };

  const scale = graph.number(1 / Math.sqrt(headWidth), precision);
  const scaled = graph.node(named("q/scaled"), "Mul", [q, scale]);
  const byHead = transpose("q/heads", reshape("q/split", scaled, shapes.queries), 0, 2, 3, 1, 4);
  const queries = reshape(
    "queries",
    rotary(shared, "queries", named("q"), byHead),
    graph.ints(0, 0, -1, headWidth),
  ); // [B, G, H/G·S, D]
  const keysByHead = transpose("k/heads", reshape("k/split", k, shapes.keys), 0, 2, 1, 3);
  const keys = withPast("key", rotary(shared, "keys", named("k"), keysByHead)); // [B, G, T, D]
  const added = transpose("v/heads", reshape("v/split", v, shapes.keys), 0, 2, 1, 3);
  const values = withPast("value", added); // [B, G, T, D]

  const columns = transpose("keys", keys, 0, 1, 3, 2);
  const rows = graph.node(named("scores/rows"), "MatMul", [queries, columns]);
  const scores = reshape("scores", cast(shared, named("scores/f32"), rows, "f32"), shapes.scores);
  const seen = graph.node(named("scores/seen"), "Add", [scores, shared.bias]);
  const softmax = graph.node(named("softmax"), "Softmax", [seen], { axis: { int: -1 } });
  const shares = cast(
    shared,
    named("shares"),
    reshape("softmax/rows", softmax, shapes.scoreRows),
    precision,
  );
  const mixed = graph.node(named("mixed"), "MatMul", [shares, values]); // [B, G, H/G·S, D]
  const apart = reshape("mixed/apart", mixed, shapes.mixed);
  const inOrder = transpose("output/heads", apart, 0, 3, 1, 2, 4); // [B, S, G, H/G, D]
  return reshape("output", inOrder, graph.ints(-1, heads * headWidth));
}

// Turns the first R entries of [B, G, …, S, D] by the angles: (a, b) becomes (a·cos − b·sin, b·cos + a·sin).
function rotary(shared: Shared, kind: "queries" | "keys", name: string, x: string): string {
  const { graph, config, turn } = shared;
  if (turn === undefined || config.positions === "learned") return x;
  const { headWidth } = config;
  const turned = turnedWidth(config.positions, headWidth);
  const rest = headWidth - turned;
  const half = turned / 2;
  const sizes = rest === 0 ? [half, half] : [half, half, rest];
  const [a, b, untouched] = graph.nodeOf(
    ["a", "b", "rest"].slice(0, sizes.length).map((part) => `${name}/${part}`),
    "Split",
    [x, graph.ints(...sizes)],
    { axis: { int: -1 } },
  ) as [string, string, string?];
  const { cosine, sine } = turn[kind];
  const by = (part: string, op: string, left: string, right: string) =>
    graph.node(`${name}/${part}`, op, [left, right]);
  const first = by("a/turned", "Sub", by("a/cos", "Mul", a, cosine), by("b/sin", "Mul", b, sine));
  const second = by("b/turned", "Add", by("b/cos", "Mul", b, cosine), by("a/sin", "Mul", a, sine));
  const parts = [first, second, ...(untouched ? [untouched] : [])];
  return graph.node(`${name}/turned`, "Concat", parts, { axis: { int: -1 } });
}

// As `norm` of our decoder, whose kernel computes in f32 too.
function norm(
  shared: Shared,
  name: string,
  parameter: string,
  x: string,
  width = shared.config.width,
): string {
  const { graph, config, precision } = shared;
  const epsilon = config.normEpsilon;
  if (config.norm === "rms") {
    const exact = cast(shared, `${name}/f32`, x, "f32");
    const of = (part: string, op: string, ...inputs: string[]) =>
      graph.node(`${name}/${part}`, op, inputs);
    const squares = of("squares", "Pow", exact, graph.number(2, "f32"));
    const mean = graph.node(`${name}/mean`, "ReduceMean", [squares], { axes: { ints: [-1] } });
    const root = of("root", "Sqrt", of("sum", "Add", mean, graph.number(epsilon, "f32")));
    const scaled = of("scaled", "Div", exact, root);
    const rounded = cast(shared, `${name}/rounded`, scaled, precision);
    return graph.node(name, "Mul", [rounded, `${parameter}.weight`]);
  }
  const scale = config.norm === "layer_affine"
    ? [`${parameter}.weight`, `${parameter}.bias`]
    : [graph.vector(`ones/${width}`, new Array(width).fill(1), precision)];
  return graph.node(name, "LayerNormalization", [x, ...scale], {
    axis: { int: -1 },
    epsilon: { float: epsilon },
  });
}

function swiglu(graph: GraphBuilder, name: string, gate: string, up: string): string {
  const sigmoid = graph.node(`${name}/sigmoid`, "Sigmoid", [gate]);
  return graph.node(name, "Mul", [graph.node(`${name}/gate`, "Mul", [gate, sigmoid]), up]);
}

// x/2 · (1 + erf(x/√2)), or GPT-2's approximation x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
function gelu({ graph, config, precision }: Shared, name: string, x: string): string {
  const number = (value: number) => graph.number(value, precision);
  const of = (part: string, op: string, ...inputs: string[]) =>
    graph.node(`${name}/${part}`, op, inputs);
  const curve = () => {
    if (config.activation === "gelu") {
      return of("erf", "Erf", of("scaled", "Mul", x, number(Math.SQRT1_2)));
    }
    const cube = of("cube", "Pow", x, number(3));
    const inner = of("inner", "Add", x, of("bent", "Mul", cube, number(0.044715)));
    return of("tanh", "Tanh", of("scaled", "Mul", inner, number(Math.sqrt(2 / Math.PI))));
  };
  const share = of("share", "Add", curve(), number(1));
  return graph.node(name, "Mul", [of("half", "Mul", x, number(0.5)), share]);
}

// The same value where it has the type already.
function cast(
  { graph, precision }: Shared,
  name: string,
  value: string,
  to: OnnxPrecision,
): string {
  if (precision === "f32") return value; // everything is
  return graph.node(name, "Cast", [value], { to: { int: elementTypes[to] } });
}
