{{/* Names and labels. */}}
{{- define "recommender.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which pods of a component are selected: list of root and component. */}}
{{- define "recommender.selector" -}}
app.kubernetes.io/name: recommender
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object: list of root and component. */}}
{{- define "recommender.labels" -}}
{{ include "recommender.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: recommender
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{/* Labels of a pod: list of root and component. */}}
{{- define "recommender.podLabels" -}}
{{ include "recommender.labels" . }}
{{- with (index . 0).Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of a pod that takes its settings from the ConfigMap: it is started anew when they change. */}}
{{- define "recommender.podAnnotations" -}}
checksum/settings: {{ include "recommender.settings" . | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Address of an image: list of root, "web" or "modeler", and its digest. */}}
{{- define "recommender.image" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.image.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
recommender-{{ index . 1 }}
{{- with index . 2 }}@{{ . }}{{ else }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "recommender.webImage" -}}
{{- include "recommender.image" (list . "web" .Values.image.webDigest) -}}
{{- end -}}

{{- define "recommender.modelerImage" -}}
{{- include "recommender.image" (list . "modeler" .Values.image.modelerDigest) -}}
{{- end -}}

{{/* What every pod has: Pod Security "restricted" without exceptions. */}}
{{- define "recommender.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  {{- with .Values.fsGroup }}
  fsGroup: {{ . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "recommender.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "recommender.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Keep a component's pods apart where that is possible: list of root and component. */}}
{{- define "recommender.spread" -}}
topologySpreadConstraints:
  {{- $context := . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "recommender.selector" $context | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* A component's resources: its values. Memory is both asked for and the limit. */}}
{{- define "recommender.resources" -}}
resources:
  requests:
    cpu: {{ .cpu | quote }}
    memory: {{ .memory }}
  limits:
    {{- with .cpuLimit }}
    cpu: {{ . | quote }}
    {{- end }}
    memory: {{ .memory }}
{{- end -}}

{{- define "recommender.probes" -}}
{{/* list of port's name, and path of the readiness */ -}}
startupProbe:
  httpGet: {path: /health/live, port: {{ index . 0 }}}
  periodSeconds: 2
  failureThreshold: 60
  timeoutSeconds: 2
livenessProbe:
  httpGet: {path: /health/live, port: {{ index . 0 }}}
  periodSeconds: 10
  failureThreshold: 6
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /health/ready, port: {{ index . 0 }}}
  periodSeconds: 5
  failureThreshold: 3
  timeoutSeconds: 3
{{- end -}}

{{/* The addresses of the stores, whether given or of dev. */}}
{{- define "recommender.kafkaServers" -}}
{{- if .Values.dev.enabled }}{{ include "recommender.fullname" . }}-kafka:9092{{ else }}{{ .Values.kafka.bootstrapServers }}{{ end -}}
{{- end -}}

{{- define "recommender.redisUrl" -}}
{{- if .Values.dev.enabled }}redis://{{ include "recommender.fullname" . }}-valkey:6379/0{{ else }}{{ .Values.redis.url }}{{ end -}}
{{- end -}}

{{/* Environment by which a pod reaches Kafka. */}}
{{- define "recommender.kafkaEnv" -}}
- name: RECOMMENDER_KAFKA_BOOTSTRAP_SERVERS
  value: {{ include "recommender.kafkaServers" . | quote }}
- name: RECOMMENDER_PARTITIONS
  value: {{ .Values.kafka.partitions | quote }}
- name: RECOMMENDER_REPLICATION_FACTOR
  value: {{ ternary 1 .Values.kafka.replicationFactor .Values.dev.enabled | quote }}
{{- if not .Values.dev.enabled }}
- name: RECOMMENDER_KAFKA_SECURITY_PROTOCOL
  value: {{ .Values.kafka.securityProtocol }}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}
- name: RECOMMENDER_KAFKA_SASL_MECHANISM
  value: {{ .Values.kafka.saslMechanism }}
- name: RECOMMENDER_KAFKA_USERNAME
  value: {{ .Values.kafka.username | quote }}
- name: RECOMMENDER_KAFKA_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.kafka.existingSecret }}
      key: {{ .Values.kafka.passwordKey }}
{{- end }}
{{- if .Values.kafka.caSecret }}
- name: RECOMMENDER_KAFKA_CA
  value: /etc/recommender/kafka/ca.crt
{{- end }}
{{- if .Values.kafka.clientSecret }}
- name: RECOMMENDER_KAFKA_CERTIFICATE
  value: /etc/recommender/kafka-client/tls.crt
- name: RECOMMENDER_KAFKA_KEY
  value: /etc/recommender/kafka-client/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{/* Environment by which a pod reaches Postgres; sslmode and CA are libpq's own variables. */}}
{{- define "recommender.postgresEnv" -}}
- name: RECOMMENDER_POSTGRES_DSN
  valueFrom:
    secretKeyRef:
      {{- if .Values.dev.enabled }}
      name: {{ include "recommender.fullname" . }}-postgres
      key: uri
      {{- else }}
      name: {{ .Values.postgres.existingSecret }}
      key: {{ .Values.postgres.uriKey }}
      {{- end }}
{{- include "recommender.postgresTlsEnv" . }}
{{- end -}}

{{- define "recommender.postgresTlsEnv" -}}
{{- if not .Values.dev.enabled }}
{{- with .Values.postgres.sslMode }}
- name: PGSSLMODE
  value: {{ . }}
{{- end }}
{{- if .Values.postgres.caSecret }}
- name: PGSSLROOTCERT
  value: /etc/recommender/postgres/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Environment by which a pod reaches Redis. */}}
{{- define "recommender.redisEnv" -}}
- name: RECOMMENDER_REDIS_URL
  value: {{ include "recommender.redisUrl" . | quote }}
{{- if .Values.dev.enabled }}
- name: RECOMMENDER_REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "recommender.fullname" . }}-valkey
      key: password
{{- else }}
{{- with .Values.redis.existingSecret }}
- name: RECOMMENDER_REDIS_USERNAME
  value: {{ $.Values.redis.username | quote }}
- name: RECOMMENDER_REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.redis.passwordKey }}
{{- end }}
{{- if .Values.redis.caSecret }}
- name: RECOMMENDER_REDIS_CA
  value: /etc/recommender/redis/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Certificate authorities: list of root and the names of the stores that a pod speaks to. */}}
{{- define "recommender.caMounts" -}}
{{- $root := index . 0 -}}
{{- range index . 1 }}
{{- if and (index $root.Values . "caSecret") (not $root.Values.dev.enabled) }}
- name: {{ . }}-ca
  mountPath: /etc/recommender/{{ . }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "recommender.caVolumes" -}}
{{- $root := index . 0 -}}
{{- range index . 1 }}
{{- $store := index $root.Values . }}
{{- if and $store.caSecret (not $root.Values.dev.enabled) }}
- name: {{ . }}-ca
  secret:
    secretName: {{ $store.caSecret }}
    items:
      - key: {{ $store.caKey }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Our own certificate and key at Kafka: of those that connect by themselves, not of executors. */}}
{{- define "recommender.kafkaClientMount" -}}
{{- if and .Values.kafka.clientSecret (not .Values.dev.enabled) }}
- name: kafka-client
  mountPath: /etc/recommender/kafka-client
  readOnly: true
{{- end }}
{{- end -}}

{{- define "recommender.kafkaClientVolume" -}}
{{- if and .Values.kafka.clientSecret (not .Values.dev.enabled) }}
- name: kafka-client
  secret:
    secretName: {{ .Values.kafka.clientSecret }}
    items:
      - {key: {{ .Values.kafka.clientCertificateKey }}, path: tls.crt}
      - {key: {{ .Values.kafka.clientPrivateKeyKey }}, path: tls.key}
{{- end }}
{{- end -}}

{{/* Settings of all services, of .Values.settings and of the chart: data of the ConfigMap. */}}
{{- define "recommender.settings" -}}
RECOMMENDER_INGEST_HOST: "0.0.0.0"
RECOMMENDER_INGEST_PORT: "8081"
RECOMMENDER_PREDICTOR_HOST: "0.0.0.0"
RECOMMENDER_PREDICTOR_PORT: "8082"
RECOMMENDER_FRONTEND_HOST: "0.0.0.0"
RECOMMENDER_FRONTEND_PORT: "8080"
RECOMMENDER_MODELER_HOST: "0.0.0.0"
RECOMMENDER_MODELER_METRICS_PORT: "8083"
RECOMMENDER_INGEST_URL: http://{{ include "recommender.fullname" . }}-ingest:8081
RECOMMENDER_PREDICTOR_URL: http://{{ include "recommender.fullname" . }}-predictor:8082
{{- range $name, $value := .Values.settings }}
RECOMMENDER_{{ $name | upper }}: {{ include "recommender.plain" $value | quote }}
{{- end }}
{{- end -}}

{{/* A number as it is written; Helm reads 200000 as 2e+05. */}}
{{- define "recommender.plain" -}}
{{- if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* A password of an existing Secret, or a new one: list of root, Secret's name and key. */}}
{{- define "recommender.password" -}}
{{- $root := index . 0 -}}
{{- $known := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- $kept := get (($known | default dict).data | default dict) (index . 2) -}}
{{- if $kept }}{{ $kept | b64dec }}{{ else }}{{ randAlphaNum 32 }}{{ end -}}
{{- end -}}

{{/* Combinations that no value alone makes wrong. */}}
{{- define "recommender.validate" -}}
{{- $values := .Values -}}
{{- if not $values.dev.enabled }}
{{- if not $values.kafka.bootstrapServers }}
{{- fail "kafka.bootstrapServers is empty: name the brokers, or set dev.enabled=true to try out with bundled stores" }}
{{- end }}
{{- if not $values.postgres.existingSecret }}
{{- fail "postgres.existingSecret is empty: name the Secret that holds the connection string, or set dev.enabled=true to try out with bundled stores" }}
{{- end }}
{{- if not $values.redis.url }}
{{- fail "redis.url is empty: say where Redis is, or set dev.enabled=true to try out with bundled stores" }}
{{- end }}
{{- if hasPrefix "SASL" $values.kafka.securityProtocol }}
{{- range $name := list "saslMechanism" "username" "existingSecret" }}
{{- if not (index $values.kafka $name) }}
{{- fail (printf "kafka.%s is empty: kafka.securityProtocol=%s needs it" $name $values.kafka.securityProtocol) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $values.kafka.clientSecret (not (hasSuffix "SSL" $values.kafka.securityProtocol)) }}
{{- fail (printf "kafka.clientSecret is set, but kafka.securityProtocol=%s does not encrypt: SSL or SASL_SSL" $values.kafka.securityProtocol) }}
{{- end }}
{{- if and $values.redis.caSecret (not (hasPrefix "rediss://" $values.redis.url)) }}
{{- fail (printf "redis.caSecret is set, but redis.url=%s does not encrypt: begin it with rediss://" $values.redis.url) }}
{{- end }}
{{- end }}
{{- if ne $values.exposure.type "none" }}
{{- if and $values.frontend.enabled (not $values.exposure.host) }}
{{- fail (printf "exposure.host is empty: exposure.type=%s needs the host of the pages" $values.exposure.type) }}
{{- end }}
{{- end }}
{{- if and (eq $values.exposure.type "gateway") (not $values.exposure.gatewayName) }}
{{- fail "exposure.gatewayName is empty: name the Gateway that the routes attach to" }}
{{- end }}
{{- range $component := list "ingest" "predictor" }}
{{- $one := index $values $component }}
{{- if gt (int $one.minReplicas) (int $one.maxReplicas) }}
{{- fail (printf "%s.minReplicas=%v is above %s.maxReplicas=%v" $component $one.minReplicas $component $one.maxReplicas) }}
{{- end }}
{{- end }}
{{- if gt (int $values.modeler.minExecutors) (int $values.modeler.maxExecutors) }}
{{- fail (printf "modeler.minExecutors=%v is above modeler.maxExecutors=%v" $values.modeler.minExecutors $values.modeler.maxExecutors) }}
{{- end }}
{{- end -}}

{{/* Whether Spark asks Kubernetes for executors; empty: no. */}}
{{- define "recommender.distributed" -}}
{{- if or (gt (int .Values.modeler.executors) 0) .Values.modeler.dynamicAllocation }}true{{ end -}}
{{- end -}}
