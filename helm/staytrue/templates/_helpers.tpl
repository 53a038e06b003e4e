{{- define "staytrue.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "staytrue.selector" -}}
app.kubernetes.io/name: staytrue
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* Of the pod of `helm test`. */}}
{{- define "staytrue.testSelector" -}}
app.kubernetes.io/name: staytrue-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "staytrue.labels" -}}
{{ include "staytrue.selector" . }}
{{ include "staytrue.versionLabels" . }}
{{- end }}

{{- define "staytrue.versionLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- /* An image by digest where one is given, else by tag, else by the chart's own version. */}}
{{- define "staytrue.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest | quote -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) | quote -}}
{{- end -}}
{{- end }}

{{- define "staytrue.serviceAccount" -}}
{{- default (include "staytrue.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "staytrue.storeClaim" -}}
{{- default (printf "%s-store" (include "staytrue.fullname" .)) .Values.models.existingClaim -}}
{{- end }}

{{- /* staytrue.yaml: the project, with the places that the chart mounts. */}}
{{- define "staytrue.project" -}}
{{- $places := dict "store" "/store" "retraining" (dict "runs" "/state/runs") -}}
{{- mergeOverwrite (deepCopy .Values.project) $places | toYaml -}}
{{- end }}

{{- /* Share of the traffic that one pod sees: while fewer pods run than may, each sees more than is said here. */}}
{{- define "staytrue.trafficShare" -}}
{{- $pods := ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled -}}
{{- divf 1 (max 1 (int $pods)) | printf "%.4f" -}}
{{- end }}

{{- define "staytrue.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: ["ALL"]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{- define "staytrue.podSecurity" -}}
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
runAsGroup: 10001
runAsNonRoot: true
runAsUser: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What cannot be right, told before anything is installed. */}}
{{- define "staytrue.check" -}}
{{- if not .Values.project.name }}
{{- fail "project: expected staytrue.yaml's content with a name, got none; --set-file does not do, put it under `project:` in a values file" }}
{{- end }}
{{- include "staytrue.checkAccess" . }}
{{- if and (eq .Values.models.source "object") (not .Values.models.object) }}
{{- fail "models.object: expected the store's address (s3://bucket/store) with source object, got none" }}
{{- end }}
{{- if .Values.sidecar.retrainInPod }}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}
{{- fail "sidecar.retrainInPod: expected one replica without autoscaling, as each pod would start jobs of its own" }}
{{- end }}
{{- if ne .Values.models.source "claim" }}
{{- fail "sidecar.retrainInPod: expected models.source claim, since a new version is published into the store" }}
{{- end }}
{{- if not .Values.retraining.dataClaim }}
{{- fail "sidecar.retrainInPod: expected retraining.dataClaim, the claim with the data that project.data.source names, which is mounted at /data" }}
{{- end }}
{{- end }}
{{- if and (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) (eq .Values.models.source "claim") (not .Values.models.existingClaim) (hasPrefix "ReadWriteOnce" .Values.models.accessMode) }}
{{- fail (printf "models.accessMode: expected ReadWriteMany or ReadOnlyMany for several pods, which may be on several nodes, got %s" .Values.models.accessMode) }}
{{- end }}
{{- if and .Values.retraining.enabled (ne .Values.models.source "claim") }}
{{- fail "retraining.enabled: expected models.source claim, since a new version is published into the store" }}
{{- end }}
{{- end }}

{{- /* Who may ask, and how. */}}
{{- define "staytrue.checkAccess" -}}
{{- if not (or .Values.server.keysSecret.name .Values.insecure) }}
{{- fail "server.keysSecret.name: expected a Secret with the keys that callers need, as a pod must listen beyond loopback, got none; make one (staytrue keys new --name shop --scopes predict; kubectl create secret generic staytrue-keys --from-file=keys.yaml), or limit who can reach the pods (networkPolicy) and set insecure: true" }}
{{- end }}
{{- if and .Values.sidecar.enabled (not (or .Values.networkPolicy.enabled .Values.insecure)) }}
{{- fail "networkPolicy.enabled: expected true, as the sidecar's port (labels, metrics, page) knows no keys, got false; or set sidecar.enabled: false, or insecure: true" }}
{{- end }}
{{- $serving := default dict .Values.project.serving }}
{{- range $key, $value := dict "keys" "server.keysSecret" "tls_certificate" "server.tlsSecret" "tls_key" "server.tlsSecret" "tls_client_ca" "server.tlsSecret.clientCA" "admin_port" "server.adminPort" }}
{{- if not (kindIs "invalid" (get $serving $key)) }}{{- if ne (toString (get $serving $key)) "" }}
{{- fail (printf "project.serving.%s: expected it in %s, since the chart mounts files, opens ports and probes by that; leave it out of the project" $key $value) }}
{{- end }}{{- end }}
{{- end }}
{{- if and .Values.server.adminPort (gt (int (default 1 $serving.workers)) 1) }}
{{- fail "server.adminPort: admin_port reaches one process: models cannot be loaded by hand with several workers" }}
{{- end }}
{{- if and .Values.server.tlsSecret.clientCA (not .Values.server.tlsSecret.name) }}
{{- fail "server.tlsSecret.clientCA: expected server.tlsSecret.name, the Secret that it is a key of, got none" }}
{{- end }}
{{- if and .Values.server.tlsSecret.clientCA (not .Values.client.tlsSecret.name) }}
{{- fail "client.tlsSecret.name: expected a Secret with a certificate of server.tlsSecret.clientCA, which the pods' own probes must show too, got none" }}
{{- end }}
{{- end }}

{{- /* What tells whether the server is `live` or `ready`. The kubelet takes any certificate, and can show none itself. */}}
{{- define "staytrue.probe" -}}
{{- if .root.Values.server.tlsSecret.clientCA -}}
exec: {command: ["staytrue", "ping", "https://127.0.0.1:8080", {{ if eq .state "live" }}"--live", {{ end }}"--unverified", "--certificate", "/client/tls.crt", "--certificate-key", "/client/tls.key", "--seconds", "5"]}
timeoutSeconds: 10
{{- else -}}
httpGet: {path: "/v2/health/{{ .state }}", port: http, scheme: {{ ternary "HTTPS" "HTTP" (not (empty .root.Values.server.tlsSecret.name)) }}}
timeoutSeconds: {{ ternary 5 1 (eq .state "live") }}
{{- end }}
{{- end }}
