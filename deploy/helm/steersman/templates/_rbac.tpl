{{/*
What a part may do with the Kubernetes API, in the release's namespace and nowhere else. Takes a part and rules. The one
exception is router/tokenreviews.yaml, because tokens are of no namespace.
*/}}
{{- define "steersman.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .values.serviceAccount.name | default .name | quote }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end -}}

{{/* What the router reads from the Kubernetes API, as rules of a Role; empty where it does without. */}}
{{- define "steersman.routerRules" -}}
{{- $rules := list -}}
{{- $reads := list "list" "watch" -}}
{{- if .Values.router.policies.fromResources -}}
{{- $rules = append $rules (dict "apiGroups" (list "steersman.dev") "resources" (list "routingpolicies") "verbs" $reads) -}}
{{- end -}}
{{- if eq .Values.router.discovery "endpointslices" -}}
{{- $rules = append $rules (dict "apiGroups" (list "discovery.k8s.io") "resources" (list "endpointslices") "verbs" $reads) -}}
{{- end -}}
{{- $keys := include "steersman.keysSecret" . -}}
{{- if and $keys .Values.router.identity.watchKeys -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "secrets") "resourceNames" (list $keys) "verbs" $reads) -}}
{{- end -}}
{{- with $rules -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Not empty where the chart makes a first key: where callers are told apart, and nobody said by what. */}}
{{- define "steersman.firstKey" -}}
{{- with .Values.router.identity -}}
{{- if and .enabled (not (or .keysSecret .serviceAccounts.rules .certificates)) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the file of API keys; empty where there is none. */}}
{{- define "steersman.keysSecret" -}}
{{- .Values.router.identity.keysSecret | default (include "steersman.firstKey" . | empty | ternary "" (printf "%s-keys" (include "steersman.fullname" .))) -}}
{{- end -}}

{{/* Name of the Secret with the first key itself. */}}
{{- define "steersman.firstKeySecret" -}}
{{- include "steersman.fullname" . }}-first-key
{{- end -}}

{{/* Not empty where the API server reviews tokens: where they are taken, and no issuer's keys check them. */}}
{{- define "steersman.reviewsTokens" -}}
{{- with .Values.router.identity.serviceAccounts -}}
{{- if and .rules (not .issuer.name) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where a router asks the Kubernetes API for anything. */}}
{{- define "steersman.routerAsks" -}}
{{- if or (include "steersman.routerRules" .) (include "steersman.reviewsTokens" .) -}}yes{{- end -}}
{{- end -}}

{{/* How a router finds a Service's pods: the beginning of a target. */}}
{{- define "steersman.scheme" -}}
{{- eq .Values.router.discovery "endpointslices" | ternary "k8s:///" "dns:///" -}}
{{- end -}}

{{/* Not empty where the controller runs: without routers that read resources it would have nothing to tell. */}}
{{- define "steersman.controlled" -}}
{{- if and .Values.controller.enabled .Values.router.policies.fromResources -}}yes{{- end -}}
{{- end -}}
