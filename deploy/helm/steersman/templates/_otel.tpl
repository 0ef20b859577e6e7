{{/*
Spans: where they go, and how the collector is known.
*/}}
{{- define "steersman.otelEnv" -}}
{{- $otel := .root.Values.otel -}}
{{- if $otel.endpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $otel.endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ $otel.protocol }}
{{- if include "steersman.otelSecret" . }}
{{- $folder := include "steersman.otelFolder" .root }}
- name: OTEL_EXPORTER_OTLP_CERTIFICATE
  value: {{ $folder }}/ca.crt
{{- if $otel.tls.clientCertificate }}
- name: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE
  value: {{ $folder }}/tls.crt
- name: OTEL_EXPORTER_OTLP_CLIENT_KEY
  value: {{ $folder }}/tls.key
{{- end }}
{{- end }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ include "steersman.text" $otel.sampledShare | quote }}
- name: STEERSMAN_POD
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.pod.name=$(STEERSMAN_POD),k8s.namespace.name={{ .root.Release.Namespace }}{{ with .tier }},steersman.tier={{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{/* Where the certificates are by which a collector of another authority is known. */}}
{{- define "steersman.otelFolder" -}}/etc/steersman-otel{{- end -}}

{{/* The Secret that a part has there, if any: Redis sends no spans, and Triton's go by Envoy or know no certificates. Takes a part. */}}
{{- define "steersman.otelSecret" -}}
{{- $otel := .root.Values.otel -}}
{{- if and $otel.endpoint (ne .component "redis") (or (ne .component "classifier") (include "steersman.tracesByEnvoy" .root)) -}}
{{- $otel.tls.secretName -}}
{{- end -}}
{{- end -}}

{{/* Whether Triton's spans go by the Envoy of its pod: its exporter neither shows a certificate nor follows any. */}}
{{- define "steersman.tracesByEnvoy" -}}
{{- if and .Values.tls.enabled (eq .Values.otel.protocol "http/protobuf") (hasPrefix "https://" .Values.otel.endpoint) }}yes{{ end -}}
{{- end -}}

{{/* Port of the loopback where that Envoy takes them. */}}
{{- define "steersman.tracesPort" -}}8013{{- end -}}

{{/* Path of the collector that takes spans. */}}
{{- define "steersman.tracesPath" -}}
{{- printf "%s/v1/traces" ((urlParse .Values.otel.endpoint).path | trimSuffix "/") -}}
{{- end -}}

{{/* Where Triton sends its spans. */}}
{{- define "steersman.tracesUrl" -}}
{{- if include "steersman.tracesByEnvoy" . -}}
{{- printf "http://127.0.0.1:%s%s" (include "steersman.tracesPort" .) (include "steersman.tracesPath" .) -}}
{{- else -}}
{{- printf "%s/v1/traces" (trimSuffix "/" .Values.otel.endpoint) -}}
{{- end -}}
{{- end -}}

{{/* What Envoy's files are filled in with for spans, as JSON. COLLECTOR_SHOWN says whether the collector is shown a certificate. */}}
{{- define "steersman.envoyOfSpans" -}}
{{- $filled := dict -}}
{{- if include "steersman.tracesByEnvoy" . -}}
{{- $otel := .Values.otel -}}
{{- $asked := urlParse $otel.endpoint -}}
{{- $host := lower $asked.hostname -}}
{{- $address := regexMatch "^([0-9.]+|.*:.*)$" $host -}}
{{- $filled = dict
      "TRACES_PORT" (include "steersman.tracesPort" . | int)
      "TRACES" (include "steersman.tracesPath" .)
      "TO_TRACES" (include "steersman.port" $otel.endpoint | int)
      "COLLECTOR" $asked.host
      "COLLECTOR_HOST" $host
      "COLLECTOR_KIND" ($address | ternary "IP_ADDRESS" "DNS")
      "COLLECTOR_SNI" ($address | ternary "" $host)
      "COLLECTOR_FOLDER" (include (empty $otel.tls.secretName | ternary "steersman.tlsFolder" "steersman.otelFolder") .)
      "COLLECTOR_SHOWN" (or (empty $otel.tls.secretName) $otel.tls.clientCertificate) -}}
{{- end -}}
{{- $filled | toJson -}}
{{- end -}}
