# Runs the code cells of a notebook in a Jupyter kernel: JSON on standard input, one JSON line per finished cell on
# standard output. It does what nbclient does, but for one thing: Deno's kernel says that a cell is done before its last
# printed lines have left, and nbclient drops those. Here each cell is followed until the kernel has been silent.
import json
import queue
import sys
import time

from jupyter_client import KernelManager

SILENCE = 0.15  # seconds without a message, after a cell is done


def collect(client, message_id, deadline):
    """The outputs of a cell and whether it failed; None when the time is over."""
    outputs, displays, failed, done = [], {}, False, False
    while True:
        try:
            message = client.get_iopub_msg(timeout=SILENCE if done else min(1, max(0, deadline - time.monotonic())))
        except queue.Empty:
            if done:
                return outputs, failed
            if time.monotonic() >= deadline:
                return None
            if not client.is_alive():
                raise RuntimeError("the kernel died")
            continue
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if kind == "status":
            done = done or content["execution_state"] == "idle"
        elif kind == "stream":
            outputs.append({"output_type": kind, "name": content["name"], "text": content["text"]})
        elif kind == "error":
            failed = True
            outputs.append({"output_type": kind, **{key: content[key] for key in ("ename", "evalue", "traceback")}})
        elif kind in ("display_data", "execute_result", "update_display_data"):
            identity = (content.get("transient") or {}).get("display_id")
            output = {"output_type": kind, "data": content["data"], "metadata": {}}
            if kind == "update_display_data" and identity in displays:
                displays[identity]["data"] = content["data"]
                continue
            if kind == "update_display_data":
                output["output_type"] = "display_data"
            if identity:
                displays[identity] = output
            outputs.append(output)


def main():
    request = json.load(sys.stdin)
    deadline = time.monotonic() + request["limit"]
    manager = KernelManager(kernel_name=request["kernel"])
    manager.start_kernel(cwd=request["folder"])
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        for index, code in enumerate(request["cells"]):
            try:
                result = collect(client, client.execute(code), deadline)
                problem = None if result else f"it was not done after {request['limit']} seconds"
            except RuntimeError as error:
                result, problem = None, str(error)
            outputs, failed = result or ([], True)
            print(json.dumps({"cell": index, "outputs": outputs, "failed": failed, "problem": problem}), flush=True)
            if failed:
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


main()
