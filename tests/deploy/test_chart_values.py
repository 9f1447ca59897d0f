"""What each value changes, and that wrong ones are refused with a message that helps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deploy.helm.settings_in_schema import settings_of_the_chart, stated
from tests.deploy.cases import CASES, EXECUTORS, MUTUAL, SECURE, exposed
from tests.deploy.chart import (
    CHART,
    DEV,
    LOADER,
    STORES,
    Object,
    Refused,
    Rendered,
    environment,
    pods,
)

Chart = Callable[..., Rendered]


def deployment(rendered: Rendered, component: str) -> Object:
    return rendered.get("Deployment", f"shop-{component}")["spec"]


def container(rendered: Rendered, component: str) -> Object:
    return deployment(rendered, component)["template"]["spec"]["containers"][0]


def spark(rendered: Rendered) -> dict[str, str]:
    """Spark's configuration of the driver."""
    lines = rendered.get("ConfigMap", "shop-spark")["data"]["spark-defaults.conf"].splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_services_and_modeler_with_their_defaults(chart: Chart) -> None:
    rendered = chart(STORES)
    assert {name for kind, name in rendered.names if kind == "Deployment"} == {
        "shop-ingest",
        "shop-predictor",
        "shop-frontend",
        "shop-modeler",
    }
    assert deployment(rendered, "ingest")["replicas"] == 2
    assert not rendered.of("StatefulSet")
    assert not rendered.of("Role"), "without executors nobody may ask the cluster for anything"
    assert not rendered.of("HorizontalPodAutoscaler")


def test_the_modeler_is_one_and_is_replaced_never_doubled(chart: Chart) -> None:
    modeler = deployment(chart(STORES), "modeler")
    assert modeler["replicas"] == 1
    assert modeler["strategy"] == {"type": "Recreate"}
    assert modeler["template"]["spec"]["terminationGracePeriodSeconds"] == 60
    longer = deployment(chart(STORES, {"modeler": {"terminationGracePeriod": 300}}), "modeler")
    assert longer["template"]["spec"]["terminationGracePeriodSeconds"] == 300


def test_services_are_replaced_one_by_one_without_a_gap(chart: Chart) -> None:
    for component in ("ingest", "predictor", "frontend"):
        strategy = deployment(chart(STORES), component)["strategy"]
        assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_probes_ask_the_routes_that_the_services_have(chart: Chart) -> None:
    rendered = chart(STORES)
    ports = {"ingest": 8081, "predictor": 8082, "frontend": 8080, "modeler": 8083}
    for component, port in ports.items():
        probed = container(rendered, component)
        (listening,) = probed["ports"]
        assert listening["containerPort"] == port
        for probe, path in (("startup", "live"), ("liveness", "live"), ("readiness", "ready")):
            asked = probed[f"{probe}Probe"]["httpGet"]
            assert asked == {"path": f"/health/{path}", "port": listening["name"]}


def test_the_ports_are_those_that_the_settings_name(chart: Chart) -> None:
    rendered = chart(STORES)
    settings = rendered.get("ConfigMap", "shop-settings")["data"]
    for component in ("ingest", "predictor", "frontend"):
        (port,) = container(rendered, component)["ports"]
        assert settings[f"RECOMMENDER_{component.upper()}_PORT"] == str(port["containerPort"])
    assert settings["RECOMMENDER_MODELER_METRICS_PORT"] == "8083"
    assert settings["RECOMMENDER_INGEST_URL"] == "http://shop-ingest:8081"
    assert settings["RECOMMENDER_PREDICTOR_URL"] == "http://shop-predictor:8082"


def test_settings_reach_all_services_as_they_were_written(chart: Chart) -> None:
    values = {"settings": {"rank": 64, "max_batch": 2000000, "learning_rate": 0.05, "data": "ours"}}
    data = chart(STORES, values).get("ConfigMap", "shop-settings")["data"]
    assert data["RECOMMENDER_RANK"] == "64"
    assert data["RECOMMENDER_MAX_BATCH"] == "2000000"  # not 2e+06
    assert data["RECOMMENDER_LEARNING_RATE"] == "0.05"
    assert data["RECOMMENDER_DATA"] == "ours"


def test_changed_settings_start_the_pods_anew(chart: Chart) -> None:
    before, after = chart(STORES), chart(STORES, {"settings": {"rank": 64}})
    for component in ("ingest", "predictor", "frontend", "modeler"):
        one, other = (
            deployment(rendered, component)["template"]["metadata"]["annotations"]
            for rendered in (before, after)
        )
        assert one["checksum/settings"] != other["checksum/settings"]


def test_images_by_registry_tag_and_digest(chart: Chart) -> None:
    plain = chart(STORES)
    assert container(plain, "ingest")["image"] == "recommender-web:0.1.0"
    assert container(plain, "modeler")["image"] == "recommender-modeler:0.1.0"
    digest = "sha256:" + "b" * 64
    values = {"image": {"registry": "r.test/t", "tag": "2", "modelerDigest": digest}}
    given = chart(STORES, EXECUTORS, values)
    assert container(given, "predictor")["image"] == "r.test/t/recommender-web:2"
    assert container(given, "modeler")["image"] == f"r.test/t/recommender-modeler@{digest}"
    executors = spark(given)["spark.kubernetes.executor.container.image"]
    assert executors == f"r.test/t/recommender-modeler@{digest}"


def test_each_service_gets_the_secrets_of_its_own_stores_and_no_others(chart: Chart) -> None:
    rendered = chart(SECURE)
    made = dict(pods(rendered))
    given = {
        named.rpartition("-")[2]: {
            source["secretKeyRef"]["name"]
            for source in environment(pod).values()
            if isinstance(source, dict) and "secretKeyRef" in source
        }
        for named, pod in made.items()
    }
    assert given == {
        "ingest": {"recommender-kafka"},
        "predictor": {"database-app", "valkey-user"},
        "frontend": {"shop-frontend"},
        "modeler": {"recommender-kafka", "database-app", "valkey-user"},
        "prepare": {"recommender-kafka", "database-app"},
        "refit": {"database-app"},
        "smoke": set(),
    }


def test_encrypted_stores(chart: Chart) -> None:
    rendered = chart(SECURE)
    modeler = dict(pods(rendered))["Deployment/shop-modeler"]
    env = environment(modeler)
    assert env["RECOMMENDER_KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    assert env["RECOMMENDER_KAFKA_SASL_MECHANISM"] == "SCRAM-SHA-512"
    assert env["RECOMMENDER_KAFKA_USERNAME"] == "recommender"
    assert env["PGSSLMODE"] == "verify-full"
    assert env["RECOMMENDER_REDIS_URL"] == "rediss://valkey.stores:6380/0"
    mounts = {
        one["name"]: one["mountPath"] for one in modeler["spec"]["containers"][0]["volumeMounts"]
    }
    for variable, store in (
        ("RECOMMENDER_KAFKA_CA", "kafka"),
        ("PGSSLROOTCERT", "postgres"),
        ("RECOMMENDER_REDIS_CA", "redis"),
    ):
        assert env[variable] == f"{mounts[f'{store}-ca']}/ca.crt"


def test_who_connects_to_kafka_shows_a_certificate_and_nobody_else_has_it(chart: Chart) -> None:
    rendered = chart(MUTUAL, EXECUTORS)
    holders = {}
    for named, pod in pods(rendered):
        for volume in pod["spec"].get("volumes", []):
            if volume.get("secret", {}).get("secretName") == "recommender-user":
                holders[named.rpartition("-")[2]] = pod, volume
    assert set(holders) == {"ingest", "modeler", "prepare"}
    for pod, volume in holders.values():
        assert {one["key"]: one["path"] for one in volume["secret"]["items"]} == {
            "user.crt": "tls.crt",
            "user.key": "tls.key",
        }
        (mount,) = [
            one
            for one in pod["spec"]["containers"][0]["volumeMounts"]
            if one["name"] == volume["name"]
        ]
        assert mount["readOnly"]
        env = environment(pod)
        assert env["RECOMMENDER_KAFKA_SECURITY_PROTOCOL"] == "SSL"
        assert env["RECOMMENDER_KAFKA_CERTIFICATE"] == f"{mount['mountPath']}/tls.crt"
        assert env["RECOMMENDER_KAFKA_KEY"] == f"{mount['mountPath']}/tls.key"
        assert "RECOMMENDER_KAFKA_USERNAME" not in env
    other = chart(MUTUAL, {"kafka": {"clientCertificateKey": "tls.crt"}})
    (volume,) = [
        one
        for one in dict(pods(other))["Deployment/shop-ingest"]["spec"]["volumes"]
        if one["name"] == "kafka-client"
    ]
    assert volume["secret"]["items"][0] == {"key": "tls.crt", "path": "tls.crt"}


def test_the_environment_names_settings_that_exist(chart: Chart) -> None:
    """A misspelt variable would be passed over in silence."""
    documented = set(
        re.findall(r"`(RECOMMENDER_\w+)`", (CHART.parents[2] / "docs" / "settings.md").read_text())
    )
    for case in CASES.values():
        rendered = chart(case)
        (settings,) = (
            one for one in rendered.of("ConfigMap") if one["metadata"]["name"].endswith("-settings")
        )
        named = set(settings["data"])
        for _, pod in pods(rendered):
            named |= {name for name in environment(pod) if name.startswith("RECOMMENDER_")}
        assert named <= documented


def test_without_executors_tasks_run_in_the_pod(chart: Chart) -> None:
    env = environment(dict(pods(chart(STORES)))["Deployment/shop-modeler"])
    assert env["RECOMMENDER_SPARK_MASTER"] == "local[*]"
    assert "PYSPARK_SUBMIT_ARGS" not in env


def test_executors_as_pods(chart: Chart) -> None:
    rendered = chart(STORES, EXECUTORS)
    pod = dict(pods(rendered))["Deployment/shop-modeler"]
    env = environment(pod)
    assert env["RECOMMENDER_SPARK_MASTER"] == "k8s://https://kubernetes.default.svc"
    arguments = env["PYSPARK_SUBMIT_ARGS"]
    assert "spark.driver.host=$(POD_IP)" in arguments
    assert "spark.driver.bindAddress=$(POD_IP)" in arguments
    assert "spark.kubernetes.driver.pod.name=$(POD_NAME)" in arguments
    # Kubernetes fills in $(NAME) only of variables that stand before.
    order = list(env)
    assert order.index("POD_IP") < order.index("PYSPARK_SUBMIT_ARGS")
    assert order.index("POD_NAME") < order.index("PYSPARK_SUBMIT_ARGS")
    settings = spark(rendered)
    assert settings["spark.executor.instances"] == "3"
    assert settings["spark.executor.memory"] == "2g"
    assert settings["spark.kubernetes.namespace"] == "films"
    assert "spark.dynamicAllocation.enabled" not in settings
    ports = {one["name"]: one["containerPort"] for one in pod["spec"]["containers"][0]["ports"]}
    assert settings["spark.driver.port"] == str(ports["driver"])
    assert settings["spark.blockManager.port"] == str(ports["blocks"])


def test_executors_are_labelled_as_the_driver_removes_them(chart: Chart) -> None:
    made = dict(pods(chart(STORES, EXECUTORS)))
    executor = made["ConfigMap/shop-spark/executor.yaml"]
    selector = environment(made["Deployment/shop-modeler"])["EXECUTOR_SELECTOR"]
    wanted = dict(part.split("=") for part in selector.split(","))
    assert wanted.items() <= executor["metadata"]["labels"].items()
    for named, pod in made.items():
        if "executor" not in named:
            assert not wanted.items() <= pod["metadata"]["labels"].items(), named


def test_executors_reach_encrypted_stores_as_the_driver_does(chart: Chart) -> None:
    made = dict(pods(chart(SECURE, EXECUTORS)))
    driver, executor = (
        made[name] for name in ("Deployment/shop-modeler", "ConfigMap/shop-spark/executor.yaml")
    )
    assert environment(executor)["PGSSLMODE"] == environment(driver)["PGSSLMODE"]
    assert environment(executor)["PGSSLROOTCERT"] == environment(driver)["PGSSLROOTCERT"]
    mounts = [
        {one["mountPath"] for one in pod["spec"]["containers"][0]["volumeMounts"]}
        for pod in (driver, executor)
    ]
    assert mounts[1] == mounts[0] - {"/etc/recommender/spark", "/etc/recommender/redis"}


def test_dynamic_allocation(chart: Chart) -> None:
    values = {"modeler": {"dynamicAllocation": True, "executors": 2, "maxExecutors": 9}}
    settings = spark(chart(STORES, values))
    assert settings["spark.dynamicAllocation.enabled"] == "true"
    assert settings["spark.dynamicAllocation.shuffleTracking.enabled"] == "true"
    assert settings["spark.dynamicAllocation.initialExecutors"] == "2"
    assert settings["spark.dynamicAllocation.maxExecutors"] == "9"
    assert "spark.executor.instances" not in settings


def test_the_driver_may_manage_executors_and_nothing_else(chart: Chart) -> None:
    rendered = chart(STORES, EXECUTORS)
    rules = {
        resource: set(rule["verbs"])
        for rule in rendered.get("Role", "shop-modeler")["rules"]
        for resource in rule["resources"]
    }
    assert set(rules) == {"pods", "configmaps", "services", "persistentvolumeclaims"}
    assert all("deletecollection" in verbs for verbs in rules.values())
    assert not {"update", "*"} & set.union(*rules.values())
    assert "watch" in rules["pods"]
    binding = rendered.get("RoleBinding", "shop-modeler")
    assert [one["name"] for one in binding["subjects"]] == ["shop-modeler"]


def test_topics_and_schema_are_prepared_before_anything_else(chart: Chart) -> None:
    job = chart(STORES).get("Job", "shop-prepare")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["prepare"]


@pytest.mark.parametrize("case", ["least", "secure", "everything"])
def test_the_hook_needs_nothing_that_the_release_has_yet_to_make(case: str, chart: Chart) -> None:
    rendered = chart(CASES[case])
    made = {
        (one["kind"], one["metadata"]["name"])
        for one in rendered.objects
        if "helm.sh/hook" not in one["metadata"].get("annotations", {})
    }
    (job,) = rendered.of("Job")
    text = yaml.safe_dump(job["spec"]["template"]["spec"])
    for kind, name in made:
        if kind in ("ConfigMap", "Secret", "ServiceAccount"):
            assert not re.search(rf": {re.escape(name)}$", text, re.MULTILINE), (kind, name)


def test_with_bundled_stores_the_preparation_is_a_job_of_each_revision(chart: Chart) -> None:
    job = chart(DEV).get("Job", "shop-prepare-1")
    assert "annotations" not in job["metadata"]


def test_names_of_topics_reach_their_preparation(chart: Chart) -> None:
    job = chart(STORES, {"settings": {"ratings_topic": "stars"}}).get("Job", "shop-prepare")
    assert environment(job["spec"]["template"])["RECOMMENDER_RATINGS_TOPIC"] == "stars"


def test_a_refit_is_scheduled_and_needs_postgres_alone(chart: Chart) -> None:
    job = chart(STORES).get("CronJob", "shop-refit")["spec"]
    assert (job["schedule"], job["concurrencyPolicy"]) == ("30 2 * * *", "Forbid")
    assert "timeZone" not in job
    pod = job["jobTemplate"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["args"][0] == "refit"
    assert not [name for name in environment(pod) if "KAFKA" in name or "REDIS" in name]
    changed = chart(
        STORES,
        {"refit": {"schedule": "@weekly", "timeZone": "Europe/Berlin", "deadline": 600}},
    ).get("CronJob", "shop-refit")["spec"]
    assert (changed["schedule"], changed["timeZone"]) == ("@weekly", "Europe/Berlin")
    assert changed["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 600
    for none in ({"refit": {"enabled": False}}, {"modeler": {"enabled": False}}):
        assert not chart(STORES, none).of("CronJob")


def test_bundled_stores(chart: Chart) -> None:
    rendered = chart(DEV)
    stores = {one["metadata"]["name"]: one["spec"] for one in rendered.of("StatefulSet")}
    assert set(stores) == {"shop-kafka", "shop-postgres", "shop-valkey"}
    for spec in stores.values():
        assert spec["replicas"] == 1
    for store in ("shop-kafka", "shop-postgres"):
        (claim,) = stores[store]["volumeClaimTemplates"]
        assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert "volumeClaimTemplates" not in stores["shop-valkey"]
    env = environment(dict(pods(rendered))["Deployment/shop-modeler"])
    assert env["RECOMMENDER_KAFKA_BOOTSTRAP_SERVERS"] == "shop-kafka:9092"
    assert env["RECOMMENDER_REPLICATION_FACTOR"] == "1"
    assert env["RECOMMENDER_POSTGRES_DSN"] == {
        "secretKeyRef": {"name": "shop-postgres", "key": "uri"}
    }


def test_autoscaling_takes_the_number_of_replicas_over(chart: Chart) -> None:
    values = {"predictor": {"autoscaling": True, "minReplicas": 3, "maxReplicas": 9}}
    rendered = chart(STORES, values)
    assert "replicas" not in deployment(rendered, "predictor")
    assert deployment(rendered, "ingest")["replicas"] == 2
    scaler = rendered.get("HorizontalPodAutoscaler", "shop-predictor")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 9)
    assert scaler["scaleTargetRef"]["name"] == "shop-predictor"
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


def test_disruption_budgets(chart: Chart) -> None:
    budgets = {
        one["metadata"]["name"]: one["spec"] for one in chart(STORES).of("PodDisruptionBudget")
    }
    assert set(budgets) == {"shop-ingest", "shop-predictor", "shop-frontend"}
    assert all(spec["maxUnavailable"] == 1 for spec in budgets.values())
    assert not chart(STORES, {"podDisruptionBudgets": False}).of("PodDisruptionBudget")


def test_pods_of_a_component_are_spread(chart: Chart) -> None:
    spec = deployment(chart(STORES), "predictor")
    constraints = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    for one in constraints:
        assert one["labelSelector"] == spec["selector"]


def test_selectors_find_the_pods_and_only_those(chart: Chart) -> None:
    rendered = chart(CASES["dev with executors"])
    made = {named: pod["metadata"]["labels"] for named, pod in pods(rendered)}
    for service in rendered.of("Service"):
        found = [
            named
            for named, labels in made.items()
            if service["spec"]["selector"].items() <= labels.items()
        ]
        assert len(found) == 1, (service["metadata"]["name"], found)


def test_a_page_s_socket_stays_at_one_replica(chart: Chart) -> None:
    assert chart(STORES).get("Service", "shop-frontend")["spec"]["sessionAffinity"] == "ClientIP"


EXPOSED = {"Ingress", "HTTPRoute", "Route"}


@pytest.mark.parametrize(
    ("kind", "made", "more"),
    [
        ("none", set(), {}),
        ("ingress", {("Ingress", "shop")}, {}),
        (
            "gateway",
            {("HTTPRoute", f"shop-{one}") for one in ("frontend", "ingest", "predictor")},
            {"gatewayName": "public"},
        ),
        ("route", {("Route", f"shop-{one}") for one in ("frontend", "ingest", "predictor")}, {}),
    ],
)
def test_exposure(
    kind: str, made: set[tuple[str, str]], more: dict[str, str], chart: Chart
) -> None:
    rendered = chart(STORES, exposed(kind, **more))
    assert {name for name in rendered.names if name[0] in EXPOSED} == made


def test_an_ingress_encrypts_all_hosts_with_one_secret(chart: Chart) -> None:
    spec = chart(STORES, exposed("ingress", ingressClass="nginx")).get("Ingress", "shop")["spec"]
    (tls,) = spec["tls"]
    assert tls["secretName"] == "shop-tls"
    hosts = {rule["host"]: rule["http"]["paths"][0]["backend"] for rule in spec["rules"]}
    assert set(tls["hosts"]) == set(hosts)
    assert hosts["films.test"]["service"]["name"] == "shop-frontend"
    assert hosts["in.films.test"]["service"]["name"] == "shop-ingest"
    assert hosts["out.films.test"]["service"]["name"] == "shop-predictor"
    plain = chart(STORES, exposed("ingress", tls=False)).get("Ingress", "shop")["spec"]
    assert "tls" not in plain


def test_a_route_ends_tls_at_the_edge_and_redirects(chart: Chart) -> None:
    spec = chart(STORES, exposed("route")).get("Route", "shop-predictor")["spec"]
    assert spec["host"] == "out.films.test"
    assert spec["to"]["name"] == "shop-predictor"
    assert spec["tls"] == {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
    assert "tls" not in chart(STORES, exposed("route", tls=False)).of("Route")[0]["spec"]


def test_an_http_route_attaches_to_the_gateway_named(chart: Chart) -> None:
    values = exposed("gateway", gatewayName="public", gatewayNamespace="gw")
    spec = chart(STORES, values).get("HTTPRoute", "shop-ingest")["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "gw"}]
    assert spec["hostnames"] == ["in.films.test"]
    assert spec["rules"][0]["backendRefs"] == [{"name": "shop-ingest", "port": 8081}]


def test_the_apis_are_exposed_only_where_a_host_is_named(chart: Chart) -> None:
    rendered = chart(STORES, {"exposure": {"type": "route", "host": "films.test"}})
    assert {name for kind, name in rendered.names if kind == "Route"} == {"shop-frontend"}


def test_helm_test_asks_all_services(chart: Chart) -> None:
    pod = chart(STORES, {"smokeTimeout": 33}).get("Pod", "shop-smoke")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["containers"][0]["args"] == [
        "smoke",
        "--frontend=http://shop-frontend:8080",
        "--ingest=http://shop-ingest:8081",
        "--predictor=http://shop-predictor:8082",
        "--timeout=33",
    ]


def test_where_pods_go(chart: Chart) -> None:
    values = {
        "nodeSelector": {"pool": "a"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
        "priorityClass": "high",
        "image": {"pullSecrets": ["one"]},
        "podLabels": {"team": "films"},
    }
    for named, pod in pods(chart(STORES, EXECUTORS, values)):
        spec = pod["spec"]
        assert spec["nodeSelector"] == {"pool": "a"}, named
        assert spec["tolerations"] == values["tolerations"], named
        assert spec["priorityClassName"] == "high", named
        assert spec["imagePullSecrets"] == [{"name": "one"}], named
        assert pod["metadata"]["labels"]["team"] == "films", named


def test_limits_of_cpu_are_set_only_when_asked_for(chart: Chart) -> None:
    resources = container(chart(STORES), "ingest")["resources"]
    assert resources == {
        "requests": {"cpu": "250m", "memory": "384Mi"},
        "limits": {"memory": "384Mi"},
    }
    limited = container(chart(STORES, {"ingest": {"cpuLimit": "1"}}), "ingest")["resources"]
    assert limited["limits"]["cpu"] == "1"


# Values that are wrong, and what the message must say of them.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name that does not exist": ({"ingress": {"enabled": True}}, "'ingress' not allowed"),
    "a name misspelt": ({"ingest": {"replica": 2}}, "'replica' not allowed"),
    "a setting misspelt": ({"settings": {"rankk": 3}}, "invalid propertyName 'rankk'"),
    "a setting that the chart makes": (
        {"settings": {"postgres_dsn": "postgresql://u:pw@h/d"}},
        "invalid propertyName 'postgres_dsn'",
    ),
    "text for a number": ({"ingest": {"replicas": "two"}}, "'/ingest/replicas': got string"),
    "a number below its range": ({"ingest": {"replicas": -1}}, "'/ingest/replicas': minimum"),
    "no such quantity": ({"modeler": {"memory": "4gb"}}, "'/modeler/memory': '4gb' does not match"),
    "no such heap": ({"modeler": {"driverMemory": "1Gi"}}, "'/modeler/driverMemory': '1Gi'"),
    "no schedule": ({"refit": {"schedule": "at night"}}, "'/refit/schedule': 'at night' does not"),
    "no such exposure": (
        {"exposure": {"type": "nodeport"}},
        "'/exposure/type': value must be one of 'none', 'ingress', 'gateway', 'route'",
    ),
    "a host with a scheme": (
        {"exposure": {"type": "route", "host": "https://films.test"}},
        "'/exposure/host'",
    ),
    "an exposure without a host": (
        {"exposure": {"type": "ingress"}},
        "exposure.host is empty: exposure.type=ingress needs the host of the pages",
    ),
    "a gateway without its name": (
        {"exposure": {"type": "gateway", "host": "films.test"}},
        "exposure.gatewayName is empty",
    ),
    "brokers without a port": (
        {"kafka": {"bootstrapServers": "kafka"}},
        "'/kafka/bootstrapServers': 'kafka' does not match",
    ),
    "no such protocol": ({"kafka": {"securityProtocol": "TLS"}}, "'/kafka/securityProtocol'"),
    "SASL without a user": (
        {"kafka": {"securityProtocol": "SASL_SSL", "saslMechanism": "PLAIN"}},
        "kafka.username is empty: kafka.securityProtocol=SASL_SSL needs it",
    ),
    "a client's certificate for a way that is not encrypted": (
        {"kafka": {"clientSecret": "user"}},
        "kafka.securityProtocol=PLAINTEXT does not encrypt: SSL or SASL_SSL",
    ),
    "a password in a URL": (
        {"redis": {"url": "redis://:pw@valkey:6379/0"}},
        "'/redis/url'",
    ),
    "an authority for a way that is not encrypted": (
        {"redis": {"caSecret": "ca"}},
        "redis.url=redis://valkey.stores:6379/0 does not encrypt",
    ),
    "no such sslmode": ({"postgres": {"sslMode": "on"}}, "'/postgres/sslMode'"),
    "a digest that is a tag": ({"image": {"webDigest": "1.2.3"}}, "'/image/webDigest'"),
    "fewest above most": (
        {"predictor": {"minReplicas": 5, "maxReplicas": 2}},
        "predictor.minReplicas=5 is above predictor.maxReplicas=2",
    ),
    "fewest executors above most": (
        {"modeler": {"minExecutors": 9}},
        "modeler.minExecutors=9 is above modeler.maxExecutors=4",
    ),
    "root as a user of volumes": ({"fsGroup": -1}, "'/fsGroup'"),
    "a port that is none": (
        {"networkPolicy": {"kafkaPorts": [0]}},
        "'/networkPolicy/kafkaPorts/0': minimum",
    ),
    "yes for true": ({"dev": {"enabled": "yes"}}, "'/dev/enabled': got string, want boolean"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_values_are_refused_with_a_message_that_helps(wrong: str, chart: Chart) -> None:
    values, said = WRONG[wrong]
    with pytest.raises(Refused) as refusal:
        chart(STORES, values)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("kafka", "kafka.bootstrapServers is empty: name the brokers, or set dev.enabled=true"),
        ("postgres", "postgres.existingSecret is empty"),
        ("redis", "redis.url is empty"),
    ],
)
def test_stores_must_be_named_or_bundled(missing: str, said: str, chart: Chart) -> None:
    with pytest.raises(Refused) as refusal:
        chart({name: value for name, value in STORES.items() if name != missing})
    assert said in str(refusal.value)


def test_every_value_is_in_the_schema_with_its_default_and_described() -> None:
    text = (CHART / "values.yaml").read_text()
    values = yaml.load(text, LOADER)
    schema = yaml.load((CHART / "values.schema.json").read_text(), LOADER)
    assert set(schema["properties"]) - {"global"} == set(values)
    for name, value in values.items():
        described = schema["properties"][name]
        if isinstance(value, dict) and described.get("additionalProperties") is False:
            assert set(described["properties"]) == set(value), name
        before = text.partition(f"\n{name}:")[0]
        assert before.splitlines()[-1].startswith("#"), f"{name} has no comment"


def test_the_schema_knows_the_settings_that_the_code_has() -> None:
    """`make docs` writes them anew."""
    assert stated() == settings_of_the_chart()
