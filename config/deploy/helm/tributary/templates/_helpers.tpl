{{- define "tributary.name" -}}
{{- if contains "tributary" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-tributary" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tributary.selector" -}}
app.kubernetes.io/name: tributary
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tributary.labels" -}}
{{ include "tributary.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "tributary.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tributary.listen" -}}
{{- if eq .Values.http.address "::" -}}[::]{{- else -}}{{ .Values.http.address }}{{- end -}}
{{- end -}}

{{- /* The names of all processes, in the order of their numbers. A pod finds its own in /etc/hosts before DNS has it. */ -}}
{{- define "tributary.hosts" -}}
{{- $name := include "tributary.name" . -}}
{{- $hosts := list -}}
{{- range $process := until (int .Values.processes) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s-peers.%s.svc.%s:2101" $name $process $name $.Release.Namespace $.Values.clusterDomain) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{- /* What workers and followers have in common. */ -}}
{{- define "tributary.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
# A process finishes what it has read within 25 seconds.
terminationGracePeriodSeconds: 30
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "tributary.container" -}}
image: {{ include "tributary.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "tributary.environment" -}}
- name: TRIBUTARY_LOG_FORMAT
  value: json
- name: TRIBUTARY_NATS_URL
  value: {{ .Values.nats.url | quote }}
- name: TRIBUTARY_NATS_PRIVATE_NETWORK
  value: {{ .Values.nats.privateNetwork | quote }}
- name: TRIBUTARY_HTTP_LISTEN
  value: "{{ include "tributary.listen" . }}:9464"
{{- with .Values.telemetry }}
{{- if .endpoint }}
- name: TRIBUTARY_TELEMETRY_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: TRIBUTARY_TELEMETRY_PRIVATE_NETWORK
  value: {{ .privateNetwork | quote }}
- name: TRIBUTARY_TELEMETRY_EPOCH_SHARE
  value: {{ .epochShare | quote }}
{{- if .headers }}
- name: TRIBUTARY_TELEMETRY_OTLP_HEADERS_FILE
  value: /run/secrets/tributary/{{ .headers }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- /* Nine tenths of the memory limit of a worker, in MiB; empty without a limit, or where `environment` has a budget. */ -}}
{{- define "tributary.memory" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if and $limit (not (hasKey .Values.environment "TRIBUTARY_WORKERS_MEMORY")) -}}
{{- $bytes := 0.0 -}}
{{- if kindIs "string" $limit -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- $bytes = mulf (regexFind "^[0-9.]+" $limit | float64) (get $units (regexReplaceAll "^[0-9.]+" $limit "") | float64) -}}
{{- else -}}
{{- $bytes = float64 $limit -}}
{{- end -}}
{{- max 64 (divf (mulf $bytes 0.9) 1048576 | floor | int64) -}}
{{- end -}}
{{- end -}}

{{- /* What a worker needs beside that, but for the number of its process. */ -}}
{{- define "tributary.worker" -}}
- name: TRIBUTARY_LEDGER_DIRECTORY
  value: /var/lib/tributary
{{- if .Values.backup.claim }}
- name: TRIBUTARY_LEDGER_BACKUP
  value: /var/backup/tributary
{{- end }}
{{- with include "tributary.memory" . }}
# Nine tenths of resources.limits.memory: input waits at the broker before the kernel ends the process.
- name: TRIBUTARY_WORKERS_MEMORY
  value: {{ . | quote }}
{{- end }}
- name: TRIBUTARY_WORKERS_THREADS
  value: {{ .Values.threads | quote }}
{{- if .Values.standby }}
- name: TRIBUTARY_WORKERS_STANDBY
  value: "true"
{{- end }}
{{- with .Values.shard }}
- name: TRIBUTARY_WORKERS_SHARD
  value: {{ . | quote }}
{{- end }}
- name: TRIBUTARY_NATS_REPLICAS
  value: {{ .Values.nats.replicas | quote }}
{{- if gt (int .Values.processes) 1 }}
- name: TRIBUTARY_WORKERS_HOSTS
  value: {{ include "tributary.hosts" . | quote }}
{{- if .Values.tls.secret }}
- name: TRIBUTARY_WORKERS_TLS_CA_FILE
  value: /run/secrets/peers/ca.crt
- name: TRIBUTARY_WORKERS_TLS_CERT_FILE
  value: /run/secrets/peers/tls.crt
- name: TRIBUTARY_WORKERS_TLS_KEY_FILE
  value: /run/secrets/peers/tls.key
{{- else }}
# The NetworkPolicy admits only workers to the port of the peers.
- name: TRIBUTARY_WORKERS_PRIVATE_NETWORK
  value: "true"
{{- end }}
- name: TRIBUTARY_NATS_PARTITIONS
  value: {{ .Values.nats.partitions | quote }}
{{- end }}
{{- end -}}

{{- /* The prefix of the name of a process in its shard, such as north- of north-0. */ -}}
{{- define "tributary.prefix" -}}
{{- with .Values.shard }}{{ . }}-{{ end -}}
{{- end -}}

{{- /* The job of `ledger.command`. A job cannot be changed, so that other values make another one. */ -}}
{{- define "tributary.job" -}}
{{- printf "%s-ledger-%s" (include "tributary.name" .) (list .Values .Chart.Version | toJson | sha256sum | trunc 8) -}}
{{- end -}}

{{- define "tributary.peers.mount" -}}
{{- if and (gt (int .Values.processes) 1) .Values.tls.secret -}}
- name: peers
  mountPath: /run/secrets/peers
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "tributary.peers.volume" -}}
{{- if and (gt (int .Values.processes) 1) .Values.tls.secret -}}
- name: peers
  secret:
    secretName: {{ .Values.tls.secret }}
    defaultMode: 0440
{{- end -}}
{{- end -}}

{{- define "tributary.files" -}}
- name: config
  mountPath: /etc/tributary
  readOnly: true
- name: secrets
  mountPath: /run/secrets/tributary
  readOnly: true
{{- end -}}

{{- define "tributary.volumes" -}}
- name: config
  configMap:
    name: {{ include "tributary.name" . }}
{{ include "tributary.secrets" . }}
{{- end -}}

{{- define "tributary.secrets" -}}
- name: secrets
  secret:
    secretName: {{ .Values.secrets }}
    # Readable by the group of the pod, which is the process alone.
    defaultMode: 0440
{{- end -}}

{{- define "tributary.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 5
  failureThreshold: {{ div (add .Values.startupSeconds 4) 5 }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}
