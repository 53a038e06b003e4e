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
{{- if not .Values.insecure }}
{{- fail "insecure: a pod must listen beyond loopback and there is no access control yet; limit who can reach it (networkPolicy), then set insecure: true" }}
{{- end }}
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
