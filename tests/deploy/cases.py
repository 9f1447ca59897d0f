"""The combinations of values that are rendered, validated and held against the policies."""

from __future__ import annotations

from typing import Any

from tests.deploy.chart import DEV, STORES, merged

SECURE: dict[str, Any] = {
    "kafka": {
        "bootstrapServers": "a.kafka:9093,b.kafka:9093",
        "securityProtocol": "SASL_SSL",
        "saslMechanism": "SCRAM-SHA-512",
        "username": "recommender",
        "existingSecret": "recommender-kafka",
        "caSecret": "cluster-ca",
    },
    "postgres": {
        "existingSecret": "database-app",
        "sslMode": "verify-full",
        "caSecret": "database-ca",
    },
    "redis": {
        "url": "rediss://valkey.stores:6380/0",
        "existingSecret": "valkey-user",
        "username": "recommender",
        "caSecret": "valkey-ca",
    },
}
MUTUAL: dict[str, Any] = merged(
    SECURE,
    {
        "kafka": {
            "securityProtocol": "SSL",
            "saslMechanism": "",
            "username": "",
            "existingSecret": "",
            "clientSecret": "recommender-user",
        }
    },
)
EXECUTORS = {"modeler": {"executors": 3, "executorMemory": "2g"}}
DYNAMIC = {"modeler": {"dynamicAllocation": True, "maxExecutors": 6}}
MONITORED = {"monitoring": {"serviceMonitor": True, "prometheusRule": True, "dashboard": True}}
SCALED = {"ingest": {"autoscaling": True}, "predictor": {"autoscaling": True}}
HOSTS = {"host": "films.test", "ingestHost": "in.films.test", "predictorHost": "out.films.test"}


def exposed(kind: str, **more: Any) -> dict[str, Any]:
    return {"exposure": {"type": kind, **HOSTS, **more}}


CASES: dict[str, dict[str, Any]] = {
    "least": STORES,
    "dev": DEV,
    "dev without volumes": merged(DEV, {"dev": {"storage": ""}}),
    "dev with executors": merged(
        DEV, EXECUTORS, {"dev": {"storageClass": "fast"}, "fsGroup": 10001}
    ),
    "secure": SECURE,
    "secure with executors": merged(SECURE, EXECUTORS),
    "mutual tls with executors": merged(MUTUAL, EXECUTORS),
    "dynamic allocation": merged(SECURE, DYNAMIC),
    "monitored": merged(STORES, MONITORED, {"monitoring": {"labels": {"release": "prometheus"}}}),
    "scaled": merged(STORES, SCALED, MONITORED),
    "ingress": merged(
        STORES, exposed("ingress", ingressClass="nginx", annotations={"a.test/b": "c"})
    ),
    "ingress without tls": merged(STORES, exposed("ingress", tls=False)),
    "gateway": merged(
        STORES,
        exposed(
            "gateway", gatewayName="public", gatewayNamespace="gateways", gatewayListener="https"
        ),
    ),
    "route": merged(STORES, exposed("route")),
    "route without tls": merged(STORES, exposed("route", tls=False)),
    "everything": merged(
        SECURE,
        EXECUTORS,
        MONITORED,
        SCALED,
        exposed("route", annotations={"haproxy.router.openshift.io/timeout": "1h"}),
        {
            "fullnameOverride": "films",
            "image": {
                "registry": "registry.test/team/",
                "tag": "1.2.3",
                "modelerDigest": "sha256:" + "a" * 64,
                "pullSecrets": ["pull"],
            },
            "settings": {"rank": 64, "rating_max": 10, "log_level": "debug", "seed": 12345678},
            "networkPolicy": {
                "routerNamespace": {"network.openshift.io/policy-group": "ingress"},
                "monitoringNamespace": {"kubernetes.io/metadata.name": "monitoring"},
                "kafkaTo": [{"namespaceSelector": {"matchLabels": {"name": "kafka"}}}],
                "postgresTo": [{"ipBlock": {"cidr": "10.1.2.0/24"}}],
                "apiTo": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
            },
            "nodeSelector": {"pool": "recommender"},
            "tolerations": [{"key": "pool", "operator": "Exists", "effect": "NoSchedule"}],
            "priorityClass": "high",
            "podLabels": {"team": "films"},
            "podAnnotations": {"sidecar.istio.io/inject": "false"},
        },
    ),
    "nothing but serving": merged(
        STORES,
        {
            "modeler": {"enabled": False},
            "frontend": {"enabled": False},
            "podDisruptionBudgets": False,
            "networkPolicy": {"enabled": False},
        },
    ),
}
