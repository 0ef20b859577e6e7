{{/* The prefix of all names: short enough for the longest suffix that the chart puts behind it. */}}
{{- define "steersman.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- $full | trunc 30 | trimSuffix "-" -}}
{{- end -}}

{{/*
A part is what most templates here work on: a workload with its name and all its values, defaults merged in.
Takes root, component, and for a backend tier; gives JSON, to which the caller adds root again.
*/}}
{{- define "steersman.part" -}}
{{- $full := include "steersman.fullname" .root -}}
{{- $values := deepCopy .root.Values.defaults -}}
{{- $name := printf "%s-%s" $full .component -}}
{{- $selector := dict
      "app.kubernetes.io/name" (.root.Values.nameOverride | default .root.Chart.Name)
      "app.kubernetes.io/instance" .root.Release.Name
      "app.kubernetes.io/component" .component -}}
{{- if .tier -}}
{{- $values = mergeOverwrite $values (deepCopy .root.Values.tierDefaults) (deepCopy (index .root.Values.tiers .tier)) -}}
{{- $name = printf "%s-%s" $name .tier -}}
{{- $_ := set $selector "steersman.dev/tier" .tier -}}
{{- else -}}
{{- $values = mergeOverwrite $values (deepCopy (index .root.Values .component)) -}}
{{- end -}}
{{- dict "component" .component "tier" (.tier | default "") "name" $name "selector" $selector "values" $values | toJson -}}
{{- end -}}

{{/* Names and values of the tiers that are enabled, as JSON. */}}
{{- define "steersman.tiers" -}}
{{- $root := . -}}
{{- $found := dict -}}
{{- range $tier := keys .Values.tiers | sortAlpha -}}
{{- $part := include "steersman.part" (dict "root" $root "component" "backend" "tier" $tier) | fromJson -}}
{{- if $part.values.enabled -}}
{{- $_ := set $found $tier $part.values -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* Names of the tiers that have pods, as a JSON list. */}}
{{- define "steersman.backends" -}}
{{- $found := list -}}
{{- range $tier, $values := include "steersman.tiers" . | fromJson -}}
{{- if ne $values.engine.kind "hosted" -}}
{{- $found = append $found $tier -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* Labels of a resource of a part. */}}
{{- define "steersman.labels" -}}
{{- $labels := dict
      "app.kubernetes.io/version" .root.Chart.AppVersion
      "app.kubernetes.io/managed-by" .root.Release.Service
      "app.kubernetes.io/part-of" "steersman"
      "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) -}}
{{- mergeOverwrite (deepCopy .root.Values.commonLabels) $labels .selector | toYaml -}}
{{- end -}}

{{/* Takes root and image. */}}
{{- define "steersman.image" -}}
{{- $first := splitList "/" .image.repository | first -}}
{{- $own := and (contains "/" .image.repository) (or (contains "." $first) (contains ":" $first)) -}}
{{- $name := $own | ternary .image.repository (printf "%s/%s" (trimSuffix "/" .root.Values.image.registry) .image.repository) -}}
{{- with .root.Values.image.mirror -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^[^/]*[.:][^/]*/" $name "") -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Port of a URL, of HOST:PORT, or of dns:///HOST:PORT. */}}
{{- define "steersman.port" -}}
{{- $authority := regexReplaceAll "^[a-z+]+:/+([^/@]*@)?" . "" | splitList "/" | first -}}
{{- $port := regexFind ":[0-9]+$" $authority | trimPrefix ":" -}}
{{- $scheme := regexFind "^[a-z+]+:" . -}}
{{- $port | default (get (dict "http:" "80" "https:" "443" "redis:" "6379" "rediss:" "6379") $scheme) | default "443" -}}
{{- end -}}

{{/* Environment variable of the router that holds the key of a hosted tier. */}}
{{- define "steersman.keyVariable" -}}
{{- printf "STEERSMAN_KEY_OF_%s" (. | upper | replace "-" "_") -}}
{{- end -}}
