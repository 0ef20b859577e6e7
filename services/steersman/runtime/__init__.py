"""What any process of Steersman needs: errors, settings, servers, telemetry. Knows no business."""
