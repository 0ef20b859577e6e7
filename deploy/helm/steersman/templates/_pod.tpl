{{/*
A Deployment. Takes a part and, as YAML: main (the container without what all have), and perhaps sidecars, volumes and
annotations; startupSeconds; gpus, whether its pods hold any; token, whether it speaks to the Kubernetes API; noTls, whether its
certificates are for a sidecar alone.
*/}}
{{- define "steersman.deployment" -}}
{{- $values := .values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
spec:
  {{- if not (include "steersman.autoscaled" .) }}
  replicas: {{ int $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: {{ add 300 (max 300 (int .startupSeconds)) }}
  strategy:
    {{- include "steersman.strategy" . | nindent 4 }}
  selector:
    matchLabels:
      {{- toYaml .selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- mergeOverwrite (deepCopy .root.Values.commonLabels) $values.podLabels .selector | toYaml | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- with .annotations }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . | quote }}
        {{- end }}
      {{- end }}
      serviceAccountName: {{ $values.serviceAccount.name | default .name | quote }}
      automountServiceAccountToken: {{ .token | default false }}
      enableServiceLinks: false
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      terminationGracePeriodSeconds: {{ add $values.drain.preStopSeconds $values.drain.seconds 10 }}
      {{- include "steersman.podSecurity" .root | nindent 6 }}
      {{- include "steersman.placement" . | trim | nindent 6 }}
      {{- with .sidecars }}
      initContainers:
        {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "steersman.image" (dict "root" .root "image" $values.image) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          {{- include "steersman.containerSecurity" . | nindent 10 }}
          {{- .main | nindent 10 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- if gt (int $values.drain.preStopSeconds) 0 }}
          lifecycle:
            preStop:
              sleep:
                seconds: {{ int $values.drain.preStopSeconds }}
          {{- end }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- if and .root.Values.tls.enabled (not .noTls) }}
            - name: tls
              mountPath: {{ include "steersman.tlsFolder" .root }}
              readOnly: true
            {{- end }}
            {{- if and (include "steersman.otelSecret" .) (not .noTls) }}
            - name: otel-tls
              mountPath: {{ include "steersman.otelFolder" .root }}
              readOnly: true
            {{- end }}
            {{- with .mounts }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 1Gi
        {{- if .root.Values.tls.enabled }}
        - name: tls
          secret:
            secretName: {{ include "steersman.tlsSecret" . | quote }}
            defaultMode: 0440
        {{- end }}
        {{- with include "steersman.otelSecret" . }}
        - name: otel-tls
          secret:
            secretName: {{ . | quote }}
            defaultMode: 0440
        {{- end }}
        {{- with .volumes }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* A pod that holds a GPU leaves before its successor comes: there may be no other GPU. */}}
{{- define "steersman.strategy" -}}
{{- if .values.strategy -}}
{{- toYaml .values.strategy -}}
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ .gpus | ternary 0 1 }}
  maxUnavailable: {{ .gpus | ternary 1 0 }}
{{- end -}}
{{- end -}}

{{/* Whether resources name a GPU of any vendor; empty where not. */}}
{{- define "steersman.gpus" -}}
{{- range $name, $_ := merge (dict) (.limits | default dict) (.requests | default dict) -}}
{{- if regexMatch "/.*gpu" $name -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* What Pod Security calls restricted. */}}
{{- define "steersman.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "steersman.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where pods go: apart from each other as far as it can be done, never at the price of not running. */}}
{{- define "steersman.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if .values.affinity }}
  {{- toYaml .values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- toYaml .selector | nindent 14 }}
  {{- end }}
topologySpreadConstraints:
  {{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- $selector := .selector }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- toYaml $selector | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/*
Environment of one of the product's processes. Takes a part, settings (a dict of names without STEERSMAN_), variables
(a list, for what is no plain text) and perhaps ports, as `steersman.process` does. The part's own `settings` have the last word.
*/}}
{{- define "steersman.env" -}}
{{- $log := .root.Values.log -}}
{{- $settings := mergeOverwrite
      (dict "LOG__LEVEL" $log.level "LOG__FORMAT" $log.format "GRPC__DRAIN_SECONDS" .values.drain.seconds)
      (include "steersman.tlsSettings" . | fromJson)
      .settings .values.settings -}}
{{- $ports := merge (dict "grpc" 9000 "metrics" 9090) (.ports | default dict) -}}
{{- with include "steersman.healthPort" . }}{{ $_ := set $ports "health" . }}{{ end -}}
{{- $host := include "steersman.urlHost" (include "steersman.everywhere" .root) -}}
{{- range $name, $port := $ports }}{{ $_ := set $settings (printf "%s__ADDRESS" (upper $name)) (printf "%s:%v" $host $port) }}{{ end -}}
env:
  {{- range $name, $value := $settings }}
  - name: STEERSMAN_{{ $name }}
    value: {{ include "steersman.text" $value | quote }}
  {{- end }}
  {{- with .variables }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "steersman.otelEnv" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What a server of a pod listens on to be reached by others. */}}
{{- define "steersman.everywhere" -}}
{{- eq .Values.ipFamily "IPv6" | ternary "::" "0.0.0.0" -}}
{{- end -}}

{{/* An address as it stands before a port: one of IP version 6 in brackets. */}}
{{- define "steersman.urlHost" -}}
{{- contains ":" . | ternary (printf "[%s]" .) . -}}
{{- end -}}

{{/* A number as people write it; a template's own way of printing turns 1000000 into 1e+06. */}}
{{- define "steersman.text" -}}
{{- kindIs "float64" . | ternary (. | toJson) (. | toString) -}}
{{- end -}}

{{/*
A container of one of the product's processes, without what all containers have: ports, environment, probes. Takes a part,
settings and variables as `steersman.env` does, perhaps ports (a dict of those besides, by name) and ready (the service that
readiness asks for).
*/}}
{{- define "steersman.process" -}}
ports:
  - {name: grpc, containerPort: 9000}
  {{- range $name, $port := .ports }}
  - {name: {{ $name }}, containerPort: {{ $port }}}
  {{- end }}
  - {name: metrics, containerPort: 9090}
  {{- with include "steersman.healthPort" . }}
  - {name: health, containerPort: {{ . }}}
  {{- end }}
{{ include "steersman.env" . }}
{{ include "steersman.probes" . }}
{{- end -}}

{{/* Where kubelet asks by gRPC. Those probes speak no TLS: where hops do there is no such port, as none is in the clear. */}}
{{- define "steersman.healthPort" -}}
{{- if not .root.Values.tls.enabled }}9091{{ end -}}
{{- end -}}

{{/*
Native gRPC probes at the port of health, where no call of others waits before them or has them cancelled; with TLS the same
questions by HTTPS, at the port of the metrics. Takes root, and ready.
*/}}
{{- define "steersman.probes" -}}
{{- $live := dict "httpGet" (dict "path" "/healthz" "port" "metrics" "scheme" "HTTPS") -}}
{{- $ready := deepCopy $live -}}
{{- with .ready }}{{ $_ := set $ready.httpGet "path" (print "/healthz?service=" .) }}{{ end -}}
{{- with include "steersman.healthPort" . -}}
{{- $live = dict "grpc" (dict "port" (int .)) -}}
{{- $ready = deepCopy $live -}}
{{- with $.ready }}{{ $_ := set $ready.grpc "service" . }}{{ end -}}
{{- end -}}
startupProbe:
  {{- toYaml $live | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 30
readinessProbe:
  {{- toYaml $ready | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  {{- toYaml $live | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
