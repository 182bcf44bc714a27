/// What members of requests are for, by their names: one name means one thing on every route.
enum FieldDescriptions {
    /// The text of the member at a path, such as `messages[].role`.
    static func text(of path: String) -> String? { texts[path] ?? texts[name(of: path)] }

    /// The values that the member at a path may have, where they are few.
    static func values(of path: String) -> [String?]? { choices[path] }

    private static func name(of path: String) -> String {
        String(path.split(separator: ".").last ?? "").replacing("[]", with: "")
    }

    private static let choices: [String: [String?]] = [
        "messages[].role": ["system", "developer", "user", "assistant", "tool", "function"],
        "response_format.type": ["text", "json_object", "json_schema"], "tools[].type": ["function"],
        "messages[].tool_calls[].type": ["function"],
    ]

    private static let texts: [String: String] = [
        "add_generation_prompt": "Ends the prompt with the opening of the assistant's turn.",
        "add_special_tokens": "Puts the token in front that starts a text, where the model has one.",
        "allowed_token_ids": "Only these tokens may come.",
        "arguments": "The arguments of a call, as JSON in a string.",
        "bad_words": "Texts that must not come.", "best_of": "Must equal `n`.",
        "cache_salt": "Prefixes are reused among requests of the same salt only.",
        "chat_template_kwargs": "Further variables of the model's chat template, such as `enable_thinking`.",
        "choice": "The output is one of these texts.", "content": "What is said: text, or parts of it.",
        "continue_final_message": "The model goes on with the last message.",
        "continuous_usage_stats": "Carries the usage so far on every event.", "description": "What it is for.",
        "echo": "Puts the prompt in front of the text.",
        "frequency_penalty": "Makes tokens less likely, each time they came.",
        "function": "The function that is called or may be called.",
        "grammar": "The output matches this grammar, in EBNF.",
        "id": "Names it, so that another message can refer to it.", "ignore_eos": "Goes on past the end of the text.",
        "include_stop_str_in_output": "Leaves the stop text in the output.",
        "include_usage": "Ends the stream with an event that carries the usage.",
        "json": "The output is JSON that this schema takes.", "json_object": "The output is a JSON object.",
        "json_schema": "The schema that the output keeps.", "logit_bias": "Added to logits, by token id; -100 to 100.",
        "logprobs": "Reports log probabilities: how many of the likeliest tokens; for chats, whether.",
        "max_completion_tokens": "Most tokens to generate.", "max_tokens": "Most tokens to generate.",
        "messages": "The conversation so far.", "metadata": "Up to 16 pairs that the client wants to keep.",
        "min_p": "Keeps tokens at least this likely relative to the likeliest.",
        "min_tokens": "The text does not end before so many tokens.", "modalities": "Must be [\"text\"].",
        "model": "The model's name; the first that is served where absent.", "n": "How many samples of each prompt.",
        "name": "Its name.", "parallel_tool_calls": "Whether one turn may hold several calls.",
        "parameters": "A JSON Schema of the function's arguments.",
        "presence_penalty": "Makes tokens less likely that came before.",
        "priority": "Smaller runs first.",
        "prompt": "The text to continue, or its tokens; on some routes several of them.",
        "prompt_logprobs": "Reports log probabilities of the prompt's tokens, with so many of the likeliest.",
        "prompts": "The texts to continue, or their tokens.",
        "reasoning_content": "What the assistant thought before it spoke.",
        "reasoning_effort": "How long the model thinks, where its template knows.",
        "refusal": "That the assistant refused, as it said.", "regex": "The output matches this regular expression.",
        "repetition_penalty": "Makes tokens less likely that prompt or output hold; 1 is off.",
        "request_id": "Names the request.", "response_format": "What the output looks like.",
        "return_token_ids": "Adds token ids to the answer.", "return_token_strs": "Adds the tokens' texts.",
        "role": "Who speaks.", "schema": "A JSON Schema.", "seed": "Fixes the randomness.",
        "service_tier": "Taken and ignored: there is one tier.",
        "skip_special_tokens": "Leaves control tokens out of the text.",
        "stop": "Texts that end the output.", "stop_token_ids": "Tokens that end the output.",
        "stream": "Answers by server-sent events, as tokens come.", "stream_options": "How to stream.",
        "strict": "Whether calls must keep the schema.", "structured_outputs": "What the output must match.",
        "temperature": "Divides the logits; 0 takes the likeliest token.", "text": "The text of a part.",
        "tokens": "Token ids.", "tool_call_id": "Which call a tool's message answers.",
        "tool_calls": "The calls that the assistant made.",
        "tool_choice": "Whether the model may or must call functions.",
        "tools": "The functions that it may call.",
        "top_k": "Keeps so many of the likeliest tokens; -1 or 0 keeps all.",
        "top_logprobs": "How many of the likeliest tokens to report.",
        "top_p": "Keeps the likeliest tokens up to this probability.",
        "truncate_prompt_tokens": "Keeps only so many of the prompt's last tokens; -1 what the model takes.",
        "type": "Its kind.", "use_beam_search": "Must be false.", "user": "Who the end user is; taken for logs.",
    ]
}
