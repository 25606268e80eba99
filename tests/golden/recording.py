"""What the cases with a head record: outputs, gradients, and the weights after three steps of AdamW."""
import re
import torch
from safetensors.torch import save_file


def record(model, inputs, labels, folder):
    model.eval()
    io = {f"input.{k}": v for k, v in inputs.items() if torch.is_tensor(v)}
    io["input.labels"] = labels
    out = model(**inputs, output_hidden_states=True)
    io["out.logits"], io["out.last_hidden"] = out.logits, out.hidden_states[-1]
    loss = torch.nn.functional.cross_entropy(out.logits, labels)
    loss.backward()
    io["loss"] = loss.reshape(1)
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.grad is not None]
    for n, p in trained:
        io[f"grad.{n}"] = p.grad.clone()
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-3, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(**inputs).logits, labels).backward()
        optimizer.step()
    for n, p in trained:
        io[f"step3.{n}"] = p.data
    # Prefixes are found by the layer that first asks for them; their own name is the model's.
    short = lambda k: re.sub(r"\.(encoder|transformer)\..*?prefix_tuning\.pool\.", ".prefix_tuning.", k)
    save_file({short(k): v.detach().contiguous().clone() for k, v in io.items()}, f"{folder}/io.safetensors")
