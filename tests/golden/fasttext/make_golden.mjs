// Makes the golden files that judge the fastText reader: models and scores of fastText itself, compiled to WebAssembly.
//   npm install fasttext.wasm.js@1.0.0 && node make_golden.mjs path/to/lid.176.ftz      in a copy of this folder
// The training text is invented words in three classes; sizes are ones with which this build trains without a NaN.

import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const folder = new URL("node_modules/fasttext.wasm.js/dist/", import.meta.url);
const { getFastTextModule } = await import(new URL("helpers/modules/node.mjs", folder));
const wasmPath = new URL("core/fastText.node.wasm", folder).pathname;

const words = "lamp kettle garden spoon river Straße 日本 плот grumple snorf blatt krund".split(
  " ",
);
let state = 1;
const below = (n) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % n;
};
const drawn = {
  kind: () => words[below(8)],
  rude: () => words[4 + below(8)],
  odd: () => words[below(12)],
};
const lines = Array.from({ length: 300 }, () => {
  const label = ["kind", "kind", "kind", "rude", "rude", "odd"][below(6)];
  const text = [];
  for (let left = 3 + below(6); left > 0; left--) {
    text.push(drawn[label]());
    if (below(3) === 0) text.push(["you", "are", "a", "the"][below(4)]);
  }
  return `__label__${label} ${text.join(" ")}`;
});

const texts = [
  "you are a snorf",
  "the kettle garden",
  "krund krund unseenword",
  "Straße 日本 плот lamp",
  "",
  "  tabs\tand  spaces ",
  "__label__rude grumple",
  "</s> after",
  "плот",
  "Überfluß grumplesnorf 🎉",
];
const sentences = [
  "The weather is nice today.",
  "Il fait beau aujourd'hui.",
  "Das Wetter ist heute schön.",
  "Сегодня хорошая погода.",
  "今日はいい天気です。",
  "El tiempo es bueno hoy.",
  "a",
  "🎉 42",
];
const models = {
  softmax: { loss: "softmax", wordNgrams: 2, minn: 0, maxn: 0, dim: 8, bucket: 300 },
  ova: { loss: "ova", wordNgrams: 1, minn: 2, maxn: 4, dim: 6, bucket: 300 },
  hs: { loss: "hs", wordNgrams: 3, minn: 3, maxn: 3, dim: 8, bucket: 251 },
};

/** As fastText's Python module asks: a line feed after the text, and all or the best few labels. */
function predictions(model, texts, labels) {
  return texts.map((text) => {
    const pairs = model.predict(`${text}\n`, labels, 0);
    const entries = Array.from({ length: pairs.size() }, (_, i) => pairs.get(i));
    return [text, Object.fromEntries(entries.map(([score, label]) => [label, score]))];
  });
}

function opened(core, bytes) {
  core.FS.writeFile("model", bytes);
  const model = new core.FastText();
  model.loadModel("model");
  return model;
}

const golden = {
  madeWith: "fastText compiled to WebAssembly, npm fasttext.wasm.js 1.0.0: train, saveModel, " +
    "predict(text + '\\n', all labels)",
};
for (const [name, { loss, ...settings }] of Object.entries(models)) {
  const core = await getFastTextModule({ wasmPath });
  core.FS.writeFile("train.txt", new TextEncoder().encode(`${lines.join("\n")}\n`));
  const given = new core.Args();
  Object.assign(given, settings, {
    model: core.ModelName.supervised,
    loss: core.LossName[loss],
    thread: 1,
    input: "train.txt",
    epoch: 20,
    lr: 0.5,
    minCount: 1,
    verbose: 0,
  });
  const trained = new core.FastText();
  trained.train(given, () => 0);
  trained.saveModel("trained");
  const bytes = core.FS.readFile("trained");
  writeFileSync(new URL(`${name}.bin`, import.meta.url), bytes);
  golden[name] = predictions(opened(core, bytes), texts, -1);
}
const core = await getFastTextModule({ wasmPath });
golden.lid = predictions(opened(core, readFileSync(process.argv[2])), sentences, 3);
const rows = (list) => `[\n${list.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n ]`;
const entries = Object.entries(golden).map(([key, value]) =>
  ` ${JSON.stringify(key)}: ${typeof value === "string" ? JSON.stringify(value) : rows(value)}`
);
writeFileSync(new URL("predictions.json", import.meta.url), `{\n${entries.join(",\n")}\n}\n`);
