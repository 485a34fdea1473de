// A folder of OLMo 1B in full size, in the layout of allenai/OLMo-1B-hf, with random weights in BF16 and in shards.

import { elements } from "../../src/gpu/tensor.ts";

/** Its config.json. */
export const config = {
  architectures: ["OlmoForCausalLM"],
  attention_bias: false,
  attention_dropout: 0.0,
  clip_qkv: null,
  eos_token_id: 50279,
  hidden_act: "silu",
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 2048,
  model_type: "olmo",
  num_attention_heads: 16,
  num_hidden_layers: 16,
  num_key_value_heads: 16,
  pad_token_id: 1,
  rope_scaling: null,
  rope_theta: 10000.0,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  use_cache: true,
  vocab_size: 50304,
};

const shardBytes = 1e9;

/** Writes the folder; returns the bytes of its weights. */
export async function writeFullModel(folder: string): Promise<number> {
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config, null, 2));
  const shards = shardsOf(tensorShapes());
  const total = shards.flat().reduce((sum, { bytes }) => sum + bytes, 0);
  const weightMap: Record<string, string> = {};
  for (const [i, members] of shards.entries()) {
    const number = (n: number) => String(n).padStart(5, "0");
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const { name } of members) weightMap[name] = file;
    await writeShard(`${folder}/${file}`, members);
  }
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  await Deno.writeTextFile(`${folder}/model.safetensors.index.json`, JSON.stringify(index));
  return total;
}

interface Member {
  name: string;
  shape: number[];
  bytes: number;
}

function tensorShapes(): Member[] {
  const { hidden_size: width, intermediate_size: inner, vocab_size, num_hidden_layers } = config;
  const member = (name: string, ...shape: number[]): Member => ({
    ...{ name, shape },
    bytes: 2 * elements(shape),
  });
  return [
    member("model.embed_tokens.weight", vocab_size, width),
    ...Array.from({ length: num_hidden_layers }, (_, i) => {
      const prefix = `model.layers.${i}`;
      return [
        member(`${prefix}.mlp.down_proj.weight`, width, inner),
        member(`${prefix}.mlp.gate_proj.weight`, inner, width),
        member(`${prefix}.mlp.up_proj.weight`, inner, width),
        ...["k", "o", "q", "v"].map((name) =>
          member(`${prefix}.self_attn.${name}_proj.weight`, width, width)
        ),
      ];
    }).flat(),
  ];
}

function shardsOf(members: readonly Member[]): Member[][] {
  const shards: Member[][] = [[]];
  let filled = 0;
  for (const member of members) {
    if (filled > 0 && filled + member.bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(member);
    filled += member.bytes;
  }
  return shards;
}

async function writeShard(path: string, members: readonly Member[]): Promise<void> {
  let end = 0;
  const entries = members.map(({ name, shape, bytes }) => {
    const start = end;
    end += bytes;
    return [name, { dtype: "BF16", shape, data_offsets: [start, end] }] as const;
  });
  const text = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  using file = await Deno.create(path);
  const writer = file.writable.getWriter();
  await writer.write(new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer));
  await writer.write(header);
  for (const { name, shape } of members) {
    const random = generator(name);
    for (let left = elements(shape); left > 0; left -= 2 ** 22) {
      await writer.write(new Uint8Array(random(Math.min(left, 2 ** 22)).buffer));
    }
  }
  await writer.close();
}

// BF16, the upper half of a float32, of 2^16 uniform numbers of the standard deviation that transformers starts from.
const uniform = Uint16Array.from({ length: 2 ** 16 }, (_, i) => {
  const value = ((i + 0.5) / 2 ** 16 - 0.5) * config.initializer_range * 12 ** 0.5;
  return new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;
});

// Draws by xorshift from a tensor's name.
function generator(name: string): (count: number) => Uint16Array<ArrayBuffer> {
  let state = 0x9e3779b9;
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 0x01000193);
  state ||= 1;
  return (count) => {
    const values = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      values[i] = uniform[state >>> 16]!;
    }
    return values;
  };
}
