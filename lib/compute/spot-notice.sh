#!/bin/sh
# Tells an instance's jobs that EC2 is about to take the instance away, some two minutes before it does. The ECS agent
# does not: draining an instance ends the tasks of services, which Batch's jobs are not. A job saves what it has and
# ends with exit code 75, and Batch starts it again. If a job does not, Batch sees that its host has ended and restarts
# it as well.
metadata=http://169.254.169.254/latest
while sleep "${POLL_SECONDS:-5}"; do
  token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token") || continue
  # This document does not exist until the notice.
  curl -sf -o /dev/null -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/spot/instance-action" || continue
  docker ps -q --filter label=com.amazonaws.ecs.task-arn | xargs -r docker kill --signal TERM
  exit
done
