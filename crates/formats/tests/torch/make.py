# Makes the files of this folder: `python make.py FOLDER` with PyTorch (2.15 made those that are here).
import torch, sys, os
from collections import OrderedDict
out=sys.argv[1]; os.makedirs(out,exist_ok=True)
torch.manual_seed(0)
def both(name, obj, **kw):
    torch.save(obj, f"{out}/{name}.zip.bin", **kw)
    torch.save(obj, f"{out}/{name}.old.bin", _use_new_zipfile_serialization=False, **kw)
w=torch.arange(24, dtype=torch.float32).reshape(4,6)/8-1
base=torch.arange(20, dtype=torch.float32)/4
sd=OrderedDict()
sd["plain"]=w
sd["transposed"]=w.clone().t()            # strides
sd["columns"]=w.clone()[:,1:4]             # view with an offset and gaps
sd["part"]=base[3:9]                       # offset into shared storage
sd["tied"]=base                            # same storage
sd["half"]=(w/3).half()
sd["bfloat16"]=(w/3).bfloat16()
sd["double"]=(w/3).double()
sd["parameter"]=torch.nn.Parameter(w[:2]*2)
sd["long"]=torch.arange(5)
sd["int"]=torch.arange(5,dtype=torch.int32)
sd["byte"]=torch.arange(5,dtype=torch.uint8)
sd["bool"]=torch.tensor([True,False])
sd["scalar"]=torch.tensor(2.5)
sd["empty"]=torch.zeros(0,3)
both("tensors", sd)
both("plain_dict", dict(sd))
lin=torch.nn.Sequential(torch.nn.Linear(3,2),torch.nn.BatchNorm1d(2))
both("module", lin.state_dict())   # OrderedDict with _metadata
both("protocol4", sd, pickle_protocol=4)
import json
json.dump({k:{"shape":list(v.shape),"values":[float(x) for x in v.detach().float().reshape(-1)]} for k,v in sd.items()}, open(f"{out}/tensors.json","w"))
# refused
class Evil:
    def __reduce__(self): return (os.system,("touch budwood-was-here",))
both("evil", {"w":w,"x":Evil()})
both("checkpoint", {"state_dict":sd,"epoch":3})
both("model", lin)
both("sparse", {"w":w.to_sparse()})
both("expanded", {"w":torch.zeros(1).expand(1000,1000)})
both("list",[w])
# Bytes with the scales of their rows, which do not lie one after the other.
numbers=torch.arange(48, dtype=torch.int8).reshape(6,8)
torch.save({"turned": numbers.t(), "turned.scale": torch.arange(1.,9.)/4, "gaps": numbers[:,1:4], "gaps.scale": torch.arange(1.,7.)/4},
           f"{out}/bytes.zip.bin")
both("complex",{"w":torch.zeros(3,dtype=torch.complex64)})
# The reference base, in one file and in shards.
from safetensors.torch import load_file
base = load_file(os.path.join(os.path.dirname(__file__), "../../../../tests/golden/base/distilbert/model.safetensors"))
torch.save(base, f"{out}/distilbert.bin")
