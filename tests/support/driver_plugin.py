"""A Swift plug-in for tests only: runs what a test sends, in the window's thread, and answers.

Installed into the home of the Swift under test. Each connection carries one JSON request {"code": ...}; the code
sees `window` and leaves what it wants to answer in `result`.
"""

import json
import os
import pathlib
import socketserver
import threading
import time
import traceback


class _Request(socketserver.StreamRequestHandler):
    def handle(self):
        code = json.loads(self.rfile.readline())["code"]
        answer = {}
        done = threading.Event()

        def execute():
            try:
                names = {"window": _window()}
                exec(code, names)
                answer["result"] = names.get("result")
                json.dumps(answer)
            except BaseException:
                answer.clear()
                answer["error"] = traceback.format_exc()
            done.set()

        _window().queue_task(execute)
        if not done.wait(30):
            answer["error"] = "the window's thread did not answer within 30 s"
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def _window():
    from nion.swift import Application

    return Application.app.document_controllers[0]


def _serve(port_file):
    from nion.swift import Application

    while not (Application.app and Application.app.document_controllers):
        time.sleep(0.05)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Request)
    server.daemon_threads = True
    port_file.with_suffix(".new").write_text(str(server.server_address[1]))
    port_file.with_suffix(".new").rename(port_file)
    server.serve_forever()


def run():
    port_file = pathlib.Path(os.environ["DKL_AE_TEST_PORT_FILE"])
    threading.Thread(target=_serve, args=(port_file,), daemon=True).start()
