# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface (runtime.v1.RuntimeService), as far as the tests need it: what kubelet asks for to start a pod.

Messages are lists of (field number, value), nested as the interface nests them; field numbers are those of cri-api's api.proto, release 1.26."""
import grpc

SERVICE = "/runtime.v1.RuntimeService/"
NODE = 2  # NamespaceMode: the host's namespace


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def encode(fields):
    """Protocol buffers: numbers as varints, texts and nested messages with their length; a dict is a map of texts."""
    out = b""
    for number, value in fields:
        if isinstance(value, dict):
            out += encode([(number, [(1, k), (2, v)]) for k, v in value.items()])
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = encode(value) if isinstance(value, list) else value.encode()
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    """{field number: last value}; nested messages stay bytes."""
    at, out = 0, {}

    def number():
        nonlocal at
        n = shift = 0
        while True:
            n |= (data[at] & 0x7f) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                return n
    while at < len(data):
        key = number()
        assert key & 7 in (0, 2), "a type that these messages do not have"
        if key & 7 == 0:
            out[key >> 3] = number()
        else:
            n = number()
            out[key >> 3], at = data[at:at + n], at + n
    return out


class Cri:
    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def call(self, method, fields, timeout=60):
        ask = self.channel.unary_unary(SERVICE + method, request_serializer=encode, response_deserializer=decode)
        return ask(fields, timeout=timeout, wait_for_ready=True)

    def run_pod(self, name, namespace, uid, cgroup_parent=""):
        """(id, configuration) of a pod in the host's network."""
        linux = [(2, [(1, [(1, NODE)])])] + ([(1, cgroup_parent)] if cgroup_parent else [])
        config = [(1, [(1, name), (2, uid), (3, namespace), (4, 0)]), (6, {"app": name}), (8, linux)]
        return self.call("RunPodSandbox", [(1, config)])[1].decode(), config

    def run_container(self, pod, name, image, command):
        pod_id, pod_config = pod
        config = [(1, [(1, name), (2, 0)]), (2, [(1, image)])] + [(3, word) for word in command]
        container = self.call("CreateContainer", [(1, pod_id), (2, config), (3, pod_config)])[1].decode()
        self.call("StartContainer", [(1, container)])
        return container

    def exec(self, container, command):
        return self.call("ExecSync", [(1, container)] + [(2, word) for word in command] + [(3, 30)]).get(3, 0)

    def remove_pod(self, pod_id):
        self.call("StopPodSandbox", [(1, pod_id)])
        self.call("RemovePodSandbox", [(1, pod_id)])
