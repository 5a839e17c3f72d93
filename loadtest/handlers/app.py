"""What the scenario `function` calls in Python: the same answer as a Lambda function and, run with a port, as a plain HTTP server."""


def answer(message):
    return message


def handler(event, context):
    return {"statusCode": 200, "body": answer(event["body"])}


def serve(port):
    # Here, since a worker needs none of it.
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        # Head and body leave in one piece.
        wbufsize = 65536

        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            body = answer(self.rfile.read(length).decode()).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # The backlog of 5 would cost a burst of connections a second each.
        request_queue_size = 1024

    server = Server(("127.0.0.1", port), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    import sys

    serve(int(sys.argv[2]))
