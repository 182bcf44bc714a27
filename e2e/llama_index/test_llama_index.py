"""LlamaIndex over OpenAI's API. It has an environment of its own: it holds the `openai` package to a major version that
the other tests do not use."""
from typing import Literal

from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def test_llama_index(server):
    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """The weather of a city."""
        return f"It is sunny in {city}."

    model = OpenAILike(
        model="smollm2", api_base=server.url + "/v1", api_key="x", is_chat_model=True, is_function_calling_model=True,
        temperature=0, max_tokens=120, context_window=2048, max_retries=0)
    weather = FunctionTool.from_defaults(get_weather)
    answer = model.chat_with_tools([weather], user_msg="What is the weather in Paris?", tool_required=True)
    calls = model.get_tool_calls_from_response(answer)
    assert calls and calls[0].tool_name == "get_weather" and calls[0].tool_kwargs["city"] in ("Paris", "Rome")
