"""Servers that anybody can start, as their sources and documentation describe them."""

from __future__ import annotations

from types import MappingProxyType

from vlm_app.servers.kind import Kind

_PIXELS = (
    "Qwen2.5-VL writes pixels of the image as the server has resized it. The app sends it in a size that the "
    "model's own settings leave alone: another pixel limit on the server moves the boxes."
)

_VLLM = Kind(
    name="vllm",
    title="vLLM",
    url="http://localhost:8000/v1",
    start="vllm serve Qwen/Qwen2.5-VL-3B-Instruct",
    key="VLLM_API_KEY",
    extra=MappingProxyType({"skip_special_tokens": False, "spaces_between_special_tokens": False}),
    keeps_tokens=True,
    resumes=MappingProxyType({"continue_final_message": True, "add_generation_prompt": False}),
    adapters=(
        "Start it with `--enable-lora --lora-modules NAME=FOLDER`: each adapter is then listed, and asked "
        "for, as a model of that name."
    ),
    notes=(
        "The current engine takes 999 images in a request; the one before took a single image. "
        "`--limit-mm-per-prompt '{\"image\": 4}'` sets another number.",
        "`--mm-processor-kwargs '{\"max_pixels\": 1003520}'` limits what Qwen2-VL and Qwen2.5-VL see of an "
        "image. Other models have other settings.",
        _PIXELS,
        "Transparent parts of an image become white.",
        "A model without a chat template needs `--chat-template FILE`.",
    ),
    sources=(
        "https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/openai/chat_completion/protocol.py",
        "https://github.com/vllm-project/vllm/blob/main/docs/features/lora.md",
        "https://github.com/vllm-project/vllm/blob/main/docs/features/multimodal_inputs.md",
        "https://docs.vllm.ai/en/v0.11.0/api/vllm/config/multimodal.html",
        "https://docs.vllm.ai/en/latest/getting_started/quickstart.html",
        "https://github.com/QwenLM/Qwen3-VL/issues/676",
    ),
)

_SGLANG = Kind(
    name="sglang",
    title="SGLang",
    url="http://localhost:30000/v1",
    start="python3 -m sglang.launch_server --model-path Qwen/Qwen2.5-VL-3B-Instruct",
    extra=MappingProxyType({"skip_special_tokens": False}),
    keeps_tokens=True,
    resumes=MappingProxyType({"continue_final_message": True}),
    adapters=(
        "Start it with `--enable-lora --lora-paths NAME=FOLDER` and ask for the model `MODEL:NAME`. "
        "The list of models shows the bare NAME, which would be answered by the base model."
    ),
    notes=(
        "`--limit-mm-data-per-request '{\"image\": 4}'` limits the images of a request; none is set "
        "by default.",
        "For Qwen-VL the environment variable SGLANG_IMAGE_MAX_PIXELS limits the pixels of an image; "
        "it is 16384 × 28 × 28 when it is not set.",
        _PIXELS,
        "Without `continue_final_message` an assistant's turn at the end is read as the user's.",
        "It has a key only when it is started with `--api-key`.",
    ),
    sources=(
        "https://docs.sglang.io/basic_usage/openai_api_vision.html",
        "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/entrypoints/openai/protocol.py",
        "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/entrypoints/openai/serving_base.py",
        "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/entrypoints/openai/serving_chat.py",
        "https://pypi.org/project/sglang/0.5.23/",
    ),
)

_LMDEPLOY = Kind(
    name="lmdeploy",
    title="LMDeploy",
    url="http://localhost:23333/v1",
    start="lmdeploy serve api_server Qwen/Qwen2.5-VL-3B-Instruct --server-name 127.0.0.1",
    key="LMDEPLOY_API_KEY",
    extra=MappingProxyType({"skip_special_tokens": False, "spaces_between_special_tokens": False}),
    keeps_tokens=True,
    resumes=MappingProxyType({}),
    adapters=(
        "Start it with `--backend pytorch --adapters NAME=FOLDER`: each adapter is then listed, and asked "
        "for, as a model of that name. Only its PyTorch engine has them."
    ),
    notes=(
        "Without `--server-name` it listens on every network of the computer.",
        "It has keys only when it is started with `--api-keys`.",
        _PIXELS,
    ),
    sources=(
        "https://github.com/InternLM/lmdeploy/blob/main/docs/en/multi_modal/api_server_vl.md",
        "https://github.com/InternLM/lmdeploy/blob/main/docs/en/llm/api_server_lora.md",
        "https://github.com/InternLM/lmdeploy/blob/main/docs/en/integration/codex.md",
        "https://github.com/InternLM/lmdeploy/blob/main/lmdeploy/serve/openai/protocol.py",
        "https://github.com/InternLM/lmdeploy/blob/main/lmdeploy/cli/serve.py",
        "https://github.com/InternLM/lmdeploy/blob/main/lmdeploy/model.py",
    ),
)

_TGI = Kind(
    name="tgi",
    title="Text Generation Inference (TGI)",
    url="http://localhost:3000/v1",
    start=(
        "docker run --gpus all --shm-size 1g -p 127.0.0.1:3000:80 -v $PWD/data:/data "
        "ghcr.io/huggingface/text-generation-inference:3.3.5 --model-id Qwen/Qwen2.5-VL-3B-Instruct"
    ),
    keeps_tokens=False,
    resumes=MappingProxyType({}),
    max_image_bytes=2_000_000,  # one image is no larger than the request that it is in
    max_request_bytes=2_000_000,
    adapters=(
        "Start it with `--lora-adapters NAME=FOLDER` and ask for the model NAME. The list of models does not "
        "show adapters, and every other name is answered by the base model."
    ),
    notes=(
        "It is in maintenance: its makers send users to vLLM, SGLang and llama.cpp.",
        "It drops special tokens, so families that write boxes with them lose their marks.",
        "A request may have 2 MB; `--payload-limit` sets another number, but the app keeps to 2 MB.",
        "Without a temperature it samples; 0 is greedy. It refuses a `top_p` of 1.",
        "It has a key only when it is started with `--api-key`.",
    ),
    sources=(
        "https://github.com/huggingface/text-generation-inference/blob/main/README.md",
        "https://github.com/huggingface/text-generation-inference/blob/main/docs/source/reference/launcher.md",
        "https://github.com/huggingface/text-generation-inference/blob/main/docs/source/conceptual/lora.md",
        "https://github.com/huggingface/text-generation-inference/blob/main/router/src/lib.rs",
        "https://github.com/huggingface/text-generation-inference/blob/main/router/src/chat.rs",
        "https://github.com/huggingface/text-generation-inference/blob/main/router/src/infer/chat_template.rs",
    ),
)

_LLAMA_CPP = Kind(
    name="llama.cpp",
    title="llama.cpp (llama-server)",
    url="http://localhost:8080/v1",
    start="llama-server -hf ggml-org/Qwen2.5-VL-3B-Instruct-GGUF --special --port 8080",
    key="LLAMA_API_KEY",
    resumes=MappingProxyType({}),
    adapters=(
        "Start it with `--lora FILE.gguf`: the adapter then applies to every request. Adapters have numbers "
        "there, not names."
    ),
    notes=(
        "Special tokens arrive only when it is started with `--special`, or where a request names each "
        "of them in `preserved_tokens`, which the app does not.",
        "Images need the model's projector: `-hf` loads it with the model, a file needs "
        "`-m MODEL.gguf --mmproj PROJECTOR.gguf`.",
        "Its port was 8080 for years and becomes 9931: the line above names it, so that both agree.",
        "`--image-max-tokens N` limits how much is seen of an image. Qwen-VL wants at least 1024 tokens "
        "for boxes: `--image-min-tokens 1024`.",
        _PIXELS,
        "An assistant's turn at the end is continued unless it is started with `--no-prefill-assistant`.",
    ),
    sources=(
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        "https://github.com/ggml-org/llama.cpp/blob/master/docs/multimodal.md",
        "https://github.com/ggml-org/llama.cpp/pull/26508",
        "https://github.com/ggml-org/llama.cpp/pull/16052",
        "https://github.com/ggml-org/llama.cpp/issues/16842",
        "https://github.com/ollama/ollama/blob/main/llm/llama_server.go",
    ),
)

_OLLAMA = Kind(
    name="ollama",
    title="Ollama",
    url="http://localhost:11434/v1",
    start="OLLAMA_CONTEXT_LENGTH=16384 ollama serve",
    keeps_tokens=False,
    adapters=(
        "Write a Modelfile with `FROM MODEL` and `ADAPTER FILE`, and run `ollama create NAME`: "
        "the adapter is then a model of that name."
    ),
    notes=(
        "`ollama pull qwen3-vl:8b` fetches a model that sees.",
        "With less than 24 GiB of GPU memory the context is 4k tokens unless OLLAMA_CONTEXT_LENGTH says "
        "more: images fill it soon, and a request cannot change it.",
        "It starts Qwen-VL models with at least 1024 tokens for an image, so small images are made larger, "
        "and boxes in pixels (Qwen2.5-VL) then belong to the larger one.",
        "It drops special tokens: its models run in a llama-server without `--special`. Older versions had "
        "engines of their own.",
        "Whether an assistant's turn at the end is continued depends on the model's template.",
        "It takes no key.",
    ),
    sources=(
        "https://github.com/ollama/ollama/blob/main/docs/api/openai-compatibility.mdx",
        "https://github.com/ollama/ollama/blob/main/docs/context-length.mdx",
        "https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx",
        "https://github.com/ollama/ollama/blob/main/openai/openai.go",
        "https://github.com/ollama/ollama/blob/main/llm/llama_server.go",
        "https://github.com/ollama/ollama/blob/main/model/renderers/qwen3vl.go",
    ),
)

_TRANSFORMERS = Kind(
    name="transformers",
    title="transformers serve",
    url="http://localhost:8000/v1",
    start="transformers serve Qwen/Qwen2.5-VL-3B-Instruct",
    keeps_tokens=False,
    usage=False,
    notes=(
        "Install it with `pip install 'transformers[serving]'`.",
        "It refuses fields that it does not know with 422. Older versions refuse `stream_options` too; "
        "5.23 ignores it, and sends the token counts unasked with the last piece.",
        "It drops special tokens. In 5.23 Qwen2-VL, Qwen2.5-VL and Qwen3-VL keep theirs.",
        "Started with a model it answers for no other, although its list shows every model in the cache. "
        "Started without one it loads what is asked for.",
        "A temperature counts only where the model's own settings sample; 0 is always greedy.",
        "Models that see images are run one request at a time.",
        "It takes no key.",
    ),
    sources=(
        "https://github.com/huggingface/transformers/blob/main/src/transformers/cli/serve.py",
        "https://github.com/huggingface/transformers/blob/main/src/transformers/cli/serving/chat_completion.py",
        "https://github.com/huggingface/transformers/blob/main/src/transformers/cli/serving/utils.py",
        "https://github.com/huggingface/transformers/blob/main/src/transformers/cli/serving/model_manager.py",
    ),
)

OPEN_SERVERS: tuple[Kind, ...] = (_VLLM, _SGLANG, _LMDEPLOY, _TGI, _LLAMA_CPP, _OLLAMA, _TRANSFORMERS)
