// Exports to ONNX under Node: node tests/interop/onnx.mjs MODULES CASES
// MODULES is a folder with node_modules that holds onnxruntime-web and @huggingface/transformers. CASES is a JSON file, a list
// of { folder, file, texts or pixels with dims, expected: probabilities by row, labels }, which onnx_node.py writes. Texts
// go through transformers.js's tokenizer, the graph through onnxruntime-web (WebAssembly).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2]) + "/");
const ort = require("onnxruntime-web");
const { AutoTokenizer, env } = require("@huggingface/transformers");
env.allowRemoteModels = false;
env.localModelPath = "/";
ort.env.wasm.numThreads = 1;

const softmax = (row) => {
  const most = Math.max(...row), e = row.map((x) => Math.exp(x - most));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
};

let failed = 0, passed = 0;
for (const { folder, file, texts, pixels, dims, expected, most } of JSON.parse(readFileSync(process.argv[3]))) {
  const graph = await ort.InferenceSession.create(readFileSync(`${folder}/onnx/${file}`));
  let feeds;
  if (texts) {
    const tokenizer = await AutoTokenizer.from_pretrained(folder);
    const encoded = await tokenizer(texts, { padding: true, truncation: true });
    feeds = Object.fromEntries(graph.inputNames.map((name) => [name, new ort.Tensor("int64", encoded[name].data, encoded[name].dims)]));
  } else {
    feeds = { pixel_values: new ort.Tensor("float32", Float32Array.from(pixels), dims) };
  }
  const { logits } = await graph.run(feeds);
  const width = logits.dims[1];
  let far = 0;
  expected.forEach((row, i) => {
    const got = softmax([...logits.data.slice(i * width, (i + 1) * width)]);
    row.forEach((x, k) => { const d = Math.abs(x - got[k]); if (!(d <= far)) far = d; });
  });
  console.log(`${far <= most ? "ok  " : "FAIL"} ${far.toExponential(1)} ${folder.split("/").pop()} ${file}`);
  if (far <= most) passed += 1; else failed += 1;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
