"""Medians, ratios and the tables of the comparison."""
from statistics import median

#: By figure: its title, how many of its unit the number holds, the digits shown, and whether more is better.
ENGINE = {
    "prefill_tokens_per_second": ("prefill 512, tokens/s", 1, 0, True),
    "decode_tokens_per_second": ("decode, one stream, tokens/s", 1, 0, True),
    "batch_tokens_per_second": ("decode, batch of 16, tokens/s", 1, 0, True),
    "peak_memory_bytes": ("peak memory, MiB", 2**20, 0, False),
}
HTTP = {
    "one_output_throughput": ("1 client, output tokens/s", 1, 0, True),
    "one_median_ttft_ms": ("1 client, TTFT ms", 1, 0, False),
    "one_median_itl_ms": ("1 client, ITL ms", 1, 1, False),
    "many_output_throughput": ("16 clients, output tokens/s", 1, 0, True),
    "many_median_ttft_ms": ("16 clients, TTFT ms", 1, 0, False),
    "many_p99_itl_ms": ("16 clients, ITL p99 ms", 1, 0, False),
    "start_to_ready_seconds": ("start to ready, s", 1, 2, False),
    "peak_memory_bytes": ("peak memory, MiB", 2**20, 0, False),
}


def values(turns, name, figure):
    return [turn[name][figure] for turn in turns if turn.get(name, {}).get(figure) is not None]


def table(turns, names, figures):
    """A row for each contestant, its medians and how they spread."""
    lines = ["| | " + " | ".join(title for title, *_ in figures.values()) + " |", "|---" * (len(figures) + 1) + "|"]
    for name in names:
        cells = []
        for figure, (_, unit, digits, _) in figures.items():
            found = [value / unit for value in values(turns, name, figure)]
            cells.append(
                f"{median(found):.{digits}f} ({min(found):.{digits}f}–{max(found):.{digits}f})" if found else "-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(turns, pairs, figures):
    """How many times better ours is than each peer: the median over the turns of the ratio within a turn."""
    found = {}
    for ours, peer in pairs:
        row = {}
        for figure, (_, _, _, is_more_better) in figures.items():
            quotients = []
            for turn in turns:
                a, b = turn.get(ours, {}).get(figure), turn.get(peer, {}).get(figure)
                if a and b:
                    quotients.append(a / b if is_more_better else b / a)
            if quotients:
                row[figure] = median(quotients)
        found[f"{ours} : {peer}"] = row
    return found


def ratio_table(found, figures):
    titles = [title.rpartition(",")[0] if "tokens/s" in title else title.rsplit(" ", 1)[0] for title, *_ in
              figures.values()]
    lines = ["| times better | " + " | ".join(title.rstrip(",") for title in titles) + " |",
             "|---" * (len(figures) + 1) + "|"]
    for pair, row in found.items():
        cells = [f"{row[figure]:.2f} ×" if figure in row else "-" for figure in figures]
        lines.append(f"| {pair} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
