{{/*
The NetworkPolicy of a part. Takes a part and, as YAML lists, ingress and egress; DNS is added, and the collector for what
sends spans. What is not named is not allowed.
*/}}
{{- define "steersman.networkPolicy" -}}
{{- if .root.Values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml .selector | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if .ingress }}
  ingress:
    {{- .ingress | nindent 4 }}
  {{- else }}
  ingress: []
  {{- end }}
  {{- if .egress }}
  egress:
    {{- include "steersman.toDns" .root | nindent 4 }}
    {{- .egress | nindent 4 }}
  {{- else }}
  egress: []
  {{- end }}
{{- end -}}
{{- end -}}

{{/* A peer: the pods of a component. Takes root and component. */}}
{{- define "steersman.peer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name | quote }}
      app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
      app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Takes root, components and ports. */}}
{{- define "steersman.from" -}}
{{- $root := .root -}}
- from:
    {{- range .components }}
    {{- include "steersman.peer" (dict "root" $root "component" .) | nindent 4 }}
    {{- end }}
  ports:
    {{- include "steersman.ports" .ports | nindent 4 }}
{{- end -}}

{{- define "steersman.to" -}}
{{- $root := .root -}}
- to:
    {{- range .components }}
    {{- include "steersman.peer" (dict "root" $root "component" .) | nindent 4 }}
    {{- end }}
  ports:
    {{- include "steersman.ports" .ports | nindent 4 }}
{{- end -}}

{{- define "steersman.ports" -}}
{{- $ports := list -}}
{{- range . -}}
{{- $ports = append $ports (dict "protocol" "TCP" "port" (int .)) -}}
{{- end -}}
{{- toYaml $ports -}}
{{- end -}}

{{/* Takes root and ports. */}}
{{- define "steersman.fromPrometheus" -}}
- from:
    {{- toYaml .root.Values.networkPolicy.prometheus | nindent 4 }}
  ports:
    {{- include "steersman.ports" .ports | nindent 4 }}
{{- end -}}

{{- define "steersman.toDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {protocol: UDP, port: {{ int . }}}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- end -}}

{{- define "steersman.toCollector" -}}
{{- if .Values.otel.endpoint -}}
- to:
    {{- toYaml .Values.networkPolicy.collector | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ include "steersman.port" .Values.otel.endpoint }}}
{{- end -}}
{{- end -}}

{{/* Takes root and a list of ports, doubled ones among them. */}}
{{- define "steersman.toOutside" -}}
{{- with .ports -}}
- to:
    {{- toYaml $.root.Values.networkPolicy.outside | nindent 4 }}
  ports:
    {{- include "steersman.ports" (. | uniq) | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "steersman.toApiServer" -}}
- to:
    {{- toYaml .Values.networkPolicy.apiServer | nindent 4 }}
  ports:
    {{- include "steersman.ports" .Values.networkPolicy.apiServerPorts | nindent 4 }}
{{- end -}}
