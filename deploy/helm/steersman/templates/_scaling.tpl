{{/* Not empty where an autoscaler sets the number of a part's pods. */}}
{{- define "steersman.autoscaled" -}}
{{- if has .component (list "router" "classifier" "backend") -}}
{{- if or .values.autoscaling.hpa.enabled .values.autoscaling.keda.enabled -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* How the parts that can be scaled are: their `autoscaling`, as a JSON list. */}}
{{- define "steersman.scaling" -}}
{{- $root := . -}}
{{- $parts := list (dict "root" $root "component" "router") -}}
{{- if .Values.classifier.enabled -}}
{{- $parts = append $parts (dict "root" $root "component" "classifier") -}}
{{- end -}}
{{- range include "steersman.backends" . | fromJsonArray -}}
{{- $parts = append $parts (dict "root" $root "component" "backend" "tier" .) -}}
{{- end -}}
{{- $found := list -}}
{{- range $parts -}}
{{- $found = append $found (include "steersman.part" . | fromJson).values.autoscaling -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* Not empty where some part is scaled by KEDA. */}}
{{- define "steersman.keda" -}}
{{- range include "steersman.scaling" . | fromJsonArray -}}
{{- if .keda.enabled -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where the scaler runs: KEDA asks it, or Prometheus tells an HPA what it says. */}}
{{- define "steersman.scaler" -}}
{{- range include "steersman.scaling" . | fromJsonArray -}}
{{- if or .keda.enabled (and .hpa.enabled .hpa.targetDemandPerReplica) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the scaler calls a part. */}}
{{- define "steersman.scaledPart" -}}
{{- empty .tier | ternary .component (printf "tier/%s" .tier) -}}
{{- end -}}

{{/* The autoscaler of a part, if it has one. */}}
{{- define "steersman.autoscaler" -}}
{{- if .values.autoscaling.hpa.enabled -}}
{{- include "steersman.hpa" . -}}
{{- else if .values.autoscaling.keda.enabled -}}
{{- include "steersman.scaledObject" . -}}
{{- end -}}
{{- end -}}

{{- define "steersman.hpa" -}}
{{- $scaling := .values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .name }}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    {{- if $scaling.hpa.metrics }}
    {{- toYaml $scaling.hpa.metrics | nindent 4 }}
    {{- else if $scaling.hpa.targetDemandPerReplica }}
    - type: External
      external:
        metric:
          name: steersman_demand
          selector:
            matchLabels:
              part: {{ include "steersman.scaledPart" . | replace "/" "-" }}
        target:
          type: AverageValue
          averageValue: {{ include "steersman.text" $scaling.hpa.targetDemandPerReplica | quote }}
    {{- else }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int $scaling.hpa.targetCPUUtilizationPercentage }}
    {{- end }}
  behavior:
    {{- toYaml $scaling.behavior | nindent 4 }}
{{- end -}}

{{- define "steersman.scaledObject" -}}
{{- $scaling := .values.autoscaling -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ .name }}
  minReplicaCount: {{ int $scaling.minReplicas }}
  maxReplicaCount: {{ int $scaling.maxReplicas }}
  pollingInterval: {{ int $scaling.keda.pollingInterval }}
  {{- if eq (int $scaling.minReplicas) 0 }}
  cooldownPeriod: {{ int $scaling.keda.cooldownPeriod }}
  {{- end }}
  fallback:
    failureThreshold: {{ int $scaling.keda.fallback.failureThreshold }}
    replicas: {{ int $scaling.keda.fallback.replicas }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml $scaling.behavior | nindent 8 }}
  triggers:
    - type: external-push
      metricType: AverageValue
      {{- if .root.Values.tls.enabled }}
      authenticationRef:
        name: {{ include "steersman.fullname" .root }}-scaler
      {{- end }}
      metadata:
        scalerAddress: {{ include "steersman.fullname" .root }}-scaler.{{ .root.Release.Namespace }}.svc:9000
        part: {{ include "steersman.scaledPart" . }}
        {{- if .root.Values.tls.enabled }}
        enableTLS: "true"
        {{- end }}
        targetPerReplica: {{ include "steersman.text" $scaling.keda.targetPerReplica | quote }}
    {{- with $scaling.keda.triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "steersman.pdb" -}}
{{- if .values.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ include "steersman.intOrText" .values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- toYaml .selector | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "steersman.intOrText" -}}
{{- kindIs "string" . | ternary (. | quote) (. | toJson) -}}
{{- end -}}

{{- define "steersman.serviceAccount" -}}
{{- if not .values.serviceAccount.name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}
