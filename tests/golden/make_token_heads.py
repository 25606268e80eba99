"""Cases of heads over tokens, beside those of make.py and make_more.py and in the same form, with AdapterHub's own heads and losses.

    python make_token_heads.py        with adapters 1.3.0, transformers 4.57.6 and torch installed; make.py's cases must be there
"""
import copy, glob, json, os
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from adapters import *
from transformers import *
from safetensors.torch import load_file, save_file

OUT = os.path.dirname(os.path.abspath(__file__))
MODELS = {"bert": BertAdapterModel, "roberta": RobertaAdapterModel, "distilbert": DistilBertAdapterModel}
TARGETS = {
    # The first of several tokens of a word counts; -100 does not.
    "tagging": {"labels": [[-100, 0, 3, -100, 2, 1, 4, -100, -100], [-100, 4, 4, 0, -100, 1, 2, 3, -100], [-100, -100, 1, 0, 0, -100, 3, 2, -100]]},
    "question_answering": {"start_positions": [3, 0, 7], "end_positions": [5, 0, 7]},
}


def record(model, inputs, folder):
    model.eval()
    io = {f"input.{k}": v for k, v in inputs.items()}
    out = model(**inputs, output_hidden_states=True)
    io["out.logits"] = out.logits if "labels" in inputs else torch.stack([out.start_logits, out.end_logits], -1)
    io["out.last_hidden"], io["loss"] = out.hidden_states[-1], out.loss.reshape(1)
    out.loss.backward()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    for n, p in trained:
        io[f"grad.{n}"] = p.grad.clone()
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-3, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model(**inputs).loss.backward()
        optimizer.step()
    for n, p in trained:
        io[f"step3.{n}"] = p.data
    save_file({k: v.detach().contiguous().clone() for k, v in io.items()}, f"{folder}/io.safetensors")


for family, cls in MODELS.items():
    config = AutoConfig.from_pretrained(f"{OUT}/base/{family}")
    weights = load_file(f"{OUT}/base/{family}/model.safetensors")
    case = load_file(f"{OUT}/adapters/{family}/seq_bn/io.safetensors")
    inputs = {k[6:]: v for k, v in case.items() if k.startswith("input.") and k != "input.labels"}
    # No padding: the library's softmax over positions would count it.
    inputs["input_ids"][inputs["attention_mask"] == 0] = 7
    inputs["attention_mask"][:] = 1
    for name, targets in TARGETS.items():
        folder = f"{OUT}/adapters/{family}/{name}"
        os.makedirs(folder, exist_ok=True)
        torch.manual_seed(1)
        model = cls(copy.deepcopy(config))
        missing = model.load_state_dict(weights, strict=False)
        assert not missing.unexpected_keys, missing
        model.add_adapter("task", config=SeqBnConfig(reduction_factor=4))
        if name == "tagging":
            model.add_tagging_head("task", num_labels=5, id2label=dict(enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])))
        else:
            model.add_qa_head("task", layers=2)
        model.train_adapter("task")
        model.set_active_adapters("task")
        generator = torch.Generator().manual_seed(5)
        for n, p in sorted(model.named_parameters()):
            if ".task." in n:
                p.data = torch.randn(p.shape, generator=generator) * 0.2
        model.save_adapter(f"{folder}/adapter", "task", use_safetensors=True)
        record(model, {**inputs, **{k: torch.tensor(v) for k, v in targets.items()}}, folder)
        print(family, name, sum(p.numel() for p in model.parameters() if p.requires_grad))

# Where the base was read from says nothing.
for path in glob.glob(f"{OUT}/adapters/*/*/adapter/*_config.json"):
    described = json.load(open(path))
    if described.get("model_name"):
        json.dump({**described, "model_name": ""}, open(path, "w"), indent=2)
