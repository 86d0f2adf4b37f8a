"""Lost time of recorded runs: the waterfall of each in parts of its measured time, and how long it takes."""

from __future__ import annotations

import time

from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.queries.waterfall import normalised, waterfall

RUNS = (
    "param/dlrm_kineto", "hta/trace_diff/control", "hta/trace_diff/test", "hta/ns_resolution_trace",
    "hta/nccl_parser_config", "kineto_tb/resnet50_num_workers_0", "tracelens/inference/vllm_decode_full",
    "tracelens/h100/Falconsai_nsfw_image_detection__1016002.json.gz",
    "tracelens/h100/gaunernst_bert-small-uncased__1016001.json.gz",
    "tracelens/mi300/Falconsai_nsfw_image_detection__1016002.json.gz",
    "tracelens/mi300/gaunernst_bert-small-uncased__1016001.json.gz", "recorded/dlrm_alltoall", "recorded/gpt_ddp",
    "recorded/gpt_ddp_regressed", "recorded/gpt_ddp_5steps", "recorded/gpt_tp2_pp2", "recorded/series/base_1",
    "recorded/series/slow_1", "recorded/whatif/late_rank_1", "recorded/whatif/extra_all_gather_1",
    "recorded/whatif/extra_barriers_1", "recorded/whatif/tiny_buckets_1", "hta/trace_filter",
    "hta/mtia_inference_trace",
)  # fmt: skip


def main() -> None:
    """Print one row a run in Markdown."""
    if not (folder() / "tracelens").is_dir():
        print("needs the collection of traces: ETGRAPH_TRACES")
        return
    print("| run | ranks | measured | replay | late ranks | communication | host | roofline | ideal | MFU | work known "
          "| replayable | s |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|")
    for name in RUNS:
        trace = read(folder() / name)
        begin = time.perf_counter()
        found = waterfall(trace)
        took = time.perf_counter() - begin
        row = normalised(found)
        shares = (row.replay, row.late_ranks, row.exposed_communication, row.host, row.below_roofline, row.ideal,
                  row.model_flops_utilization, found.known_share)  # fmt: skip
        cells = " | ".join("–" if share is None else f"{share:.1%}" for share in shares)
        verdict = "yes" if found.replayable else "no"
        short = name.removesuffix(".json.gz")
        print(f"| {short} | {found.ranks} | {found.measured_ns / 1e6:,.1f} ms | {cells} | {verdict} | {took:.1f} |",
              flush=True)  # fmt: skip
