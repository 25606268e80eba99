"""Cases of PEFT that are read on a base: vectors before a text, (IA)³ of what products read, heads whose first layer is the base's,
modules of several products, and names of modules since transformers 5.

    python make_peft.py      with peft 0.21.2 and torch; with transformers 4.57.6, and once more with 5.24.0 for the cases SINCE_5

adopted/CASE/{base,adapter,io.safetensors}: `input.*` and `out.logits`; weights are not zero. Cases of one family share `adopted/FAMILY/base`.
"""
import os
os.environ["HF_HUB_OFFLINE"] = "1"
import peft, torch, transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForSequenceClassification

OUT = f"{os.path.dirname(os.path.abspath(__file__))}/adopted"
TEXT = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=24, num_labels=3)
IMAGE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=16, patch_size=8, num_labels=3)
BASES = {
    "bert": TEXT, "roberta": TEXT,
    "deberta-v2": dict(TEXT, relative_attention=True, pos_att_type=["c2p", "p2c"], position_biased_input=False, type_vocab_size=0,
                       share_att_key=True, position_buckets=8, max_relative_positions=-1, norm_rel_ebd="layer_norm"),
    "modernbert": dict(TEXT, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3, local_attention=4),
    "vit": IMAGE,
}
SIZES = dict(task_type="SEQ_CLS", num_virtual_tokens=3)
ENCODER = dict(SIZES, encoder_hidden_size=8)
LORA = dict(r=2, lora_alpha=3)
CASES = {
    "prompt-tuning": ("bert", lambda: peft.PromptTuningConfig(**SIZES)),
    "prompt-tuning-roberta": ("roberta", lambda: peft.PromptTuningConfig(**SIZES)),
    "p-tuning-mlp": ("bert", lambda: peft.PromptEncoderConfig(**ENCODER, encoder_reparameterization_type="MLP")),
    "p-tuning-lstm": ("bert", lambda: peft.PromptEncoderConfig(**ENCODER, encoder_reparameterization_type="LSTM")),
    "prefix-tuning": ("bert", lambda: peft.PrefixTuningConfig(**SIZES)),
    "prefix-tuning-projected": ("bert", lambda: peft.PrefixTuningConfig(**ENCODER, prefix_projection=True)),
    "ia3-usual": ("bert", lambda: peft.IA3Config(task_type="SEQ_CLS")),
    "lora-without-pooler": ("deberta-v2", lambda: peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query_proj"], **LORA)),
    "lora-all-linear": ("deberta-v2", lambda: peft.LoraConfig(task_type="SEQ_CLS", target_modules="all-linear", **LORA)),
    "lora-fused": ("modernbert", lambda: peft.LoraConfig(task_type="SEQ_CLS", target_modules=["Wqkv", "Wi"], use_rslora=True, **LORA)),
    "dora-fused": ("modernbert", lambda: peft.LoraConfig(task_type="SEQ_CLS", target_modules=["Wqkv"], use_dora=True, **LORA)),
    "ia3-fused": ("modernbert", lambda: peft.IA3Config(task_type="SEQ_CLS", target_modules=["Wqkv"], feedforward_modules=[])),
}
SINCE_5 = {
    "vit-since-5": ("vit", lambda: peft.LoraConfig(target_modules=["q_proj", "o_proj", "fc2"], modules_to_save=["classifier"], rank_pattern={"fc2": 3}, **LORA)),
}


def noise(parameters):
    with torch.no_grad():
        for p in parameters:
            p.add_(torch.randn_like(p) * 0.1)


def base(family):
    auto = AutoModelForImageClassification if family == "vit" else AutoModelForSequenceClassification
    folder = f"{OUT}/{family}/base"
    if not os.path.isdir(folder):
        torch.manual_seed(1)
        model = auto.from_config(AutoConfig.for_model(family, **BASES[family]))
        noise(model.parameters())
        model.save_pretrained(folder)
    return auto.from_pretrained(folder).eval()


for case, (family, config) in (CASES if transformers.__version__.startswith("4.") else SINCE_5).items():
    torch.manual_seed(2)
    model = peft.get_peft_model(base(family), config())
    noise(p for p in model.parameters() if p.requires_grad)
    model.eval()
    if family == "vit":
        inputs = {"pixel_values": torch.randn(2, 3, 16, 16)}
    else:
        inputs = {"input_ids": torch.randint(5, 40, (3, 7)), "attention_mask": torch.ones(3, 7, dtype=torch.long)}
    with torch.no_grad():
        logits = model(**inputs).logits
    folder = f"{OUT}/{case}"
    model.peft_config["default"].base_model_name_or_path = family
    model.save_pretrained(f"{folder}/adapter")
    os.remove(f"{folder}/adapter/README.md")
    save_file({"out.logits": logits, **{f"input.{k}": v for k, v in inputs.items()}}, f"{folder}/io.safetensors")
    print(case)
