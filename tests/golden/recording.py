"""What cases record: outputs, gradients, and the weights after three steps of AdamW."""
import re
import torch
from safetensors.torch import save_file


def learn(io, trained, first, loss, shaped=lambda t: t, rows=None):
    """Adds the loss, which `first` is, its gradients by `trained` (names and parameters), and the first rows of those after three steps by `loss()`."""
    first.backward()
    io["loss"] = first.reshape(1)
    trained = [(n, p) for n, p in trained if p.grad is not None]
    io.update({f"grad.{n}": shaped(p.grad).clone() for n, p in trained})
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-3, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    io.update({f"step3.{n}": shaped(p.data)[:rows] if rows else shaped(p.data) for n, p in trained})


def values(trained, all_weights):
    """Parameters as they are before the steps; of all weights only those of the head, as the others are the base's."""
    return {f"param.{n}": p.data.clone() for n, p in trained if not all_weights or n.startswith("head.")}


def save(io, path):
    save_file({k: v.detach().contiguous().clone() for k, v in io.items()}, path)


def record(model, inputs, labels, folder):
    model.eval()
    io = {f"input.{k}": v for k, v in inputs.items() if torch.is_tensor(v)}
    io["input.labels"] = labels
    out = model(**inputs, output_hidden_states=True)
    io["out.logits"], io["out.last_hidden"] = out.logits, out.hidden_states[-1]
    cross_entropy = torch.nn.functional.cross_entropy
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    learn(io, trained, cross_entropy(out.logits, labels), lambda: cross_entropy(model(**inputs).logits, labels))
    # Prefixes are found by the layer that first asks for them; their own name is the model's.
    short = lambda k: re.sub(r"\.(encoder|transformer)\..*?prefix_tuning\.pool\.", ".prefix_tuning.", k)
    save({short(k): v for k, v in io.items()}, f"{folder}/io.safetensors")
